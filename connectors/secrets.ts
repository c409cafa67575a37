import type { ConnectorConfig } from './config-file.ts';

const secretKey = /password|passphrase|secret|token|credential|jaas|api\.?key|sslkey/i;
const reference = /\$\{[^}]*\}/g;

/** A setting's value as it may be shown: a reference (`${env:NAME}`) as it is, a literal secret masked. */
export function shownValue(key: string, value: string): string {
  return isLiteralSecret(key, value) ? '***' : value;
}

/** `text` without the literal secrets of `config`: servers like to quote what they refuse. */
export function withoutSecrets(text: string, config: ConnectorConfig): string {
  return Object.entries(config)
    .filter(([key, value]) => isLiteralSecret(key, value))
    .map(([, value]) => value)
    .toSorted((a, b) => b.length - a.length)
    .reduce((masked, secret) => masked.replaceAll(secret, '***'), text);
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
