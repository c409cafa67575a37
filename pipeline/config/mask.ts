const secretName = /password|passwd|\bpwd\b|secret|token|api[-_]?key|credential|signature/i;

/** Of a URL: everything between `//` and the last `@` before its path. */
const userinfo = /(?<=[a-z][a-z0-9+.-]*:\/\/)(?<login>[^/?#\s"'`<>]*)@/gi;
/** `name=value` after `?`, `&`, `;` or `#`. */
const parameter = /(?<=[?&;#])(?<name>[^=&;#?\s"'`<>]+)=(?<value>[^&;#\s"'`<>]+)/g;

/**
 * A text without the secrets of the URLs in it: logins (`//user:***@`, and a user alone, which may be a token), and parameters whose name says that
 * they are secret (`?token=***`). The one function for all URLs: errors, logs, the configuration, what commands print.
 */
export function maskUrls(text: string): string {
  if (!text.includes('://')) return text;
  return text
    .replace(userinfo, (_whole, login: string) => {
      const colon = login.indexOf(':');
      return colon < 0 ? '***@' : `${login.slice(0, colon)}:***@`;
    })
    .replace(parameter, (whole, name: string) => (isSecretName(decoded(name)) || isSecretParameter(name) ? `${name}=***` : whole));
}

/** A copy in which every password is `***`, also one inside a URL; for `cdc config print` and logs. */
export function maskSecrets(value: unknown): unknown {
  if (typeof value === 'string') return maskUrls(value);
  if (Array.isArray(value)) return value.map(maskSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, isSecretName(name) && member !== '' ? '***' : maskSecrets(member)]),
  );
}

/** Whether a setting of this name holds a secret. */
export function isSecretName(name: string): boolean {
  return secretName.test(name);
}

/** Names that are secret in a URL only. */
function isSecretParameter(name: string): boolean {
  return /^(?:key|sig|auth|authorization|access|code|pass|user|username|login)$/i.test(decoded(name));
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
