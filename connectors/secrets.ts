import type { ConnectorConfig } from './config-file.ts';

const secretKey = /password|passphrase|secret|token|credential|jaas|api\.?key|sslkey/i;
const reference = /\$\{[^}]*\}/g;

/** A setting's value as it may be shown: a reference (`${env:NAME}`) as it is, a literal secret masked. */
export function shownValue(key: string, value: string): string {
  return isLiteralSecret(key, value) ? '***' : value;
}

/**
 * `text` without the literal secrets of `config`: servers like to quote what they refuse. A name of the configuration (a role, a database, a slot) that holds a secret by
 * chance stays whole: half of it would mislead, and it is printed anyway.
 */
export function withoutSecrets(text: string, config: ConnectorConfig): string {
  const secrets = Object.entries(config).flatMap(([key, value]) => (isLiteralSecret(key, value) ? [value] : []));
  if (secrets.length === 0) return text;
  const names = Object.entries(config).flatMap(([key, value]) => (!secretKey.test(key) && /^[\w.-]+$/.test(value) ? [value] : []));
  const wanted = [...names.filter((name) => secrets.some((secret) => name.includes(secret) && name !== secret)), ...secrets];
  const pattern = wanted
    .toSorted((a, b) => b.length - a.length)
    .map((one) => RegExp.escape(one))
    .join('|');
  return text.replaceAll(new RegExp(pattern, 'g'), (found) => (secrets.includes(found) ? '***' : found));
}

/** Keys of `config` that hold a secret in plain text, where a reference should be. */
export function literalSecrets(config: ConnectorConfig): readonly string[] {
  return Object.entries(config)
    .filter(([key, value]) => isLiteralSecret(key, value))
    .map(([key]) => key);
}

function isLiteralSecret(key: string, value: string): boolean {
  return secretKey.test(key) && value.replaceAll(reference, '') !== '';
}
