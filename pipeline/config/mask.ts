/** A copy in which every password is `***`, also one inside a URL; for `cdc config print` and logs. */
export function maskSecrets(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/(?<=:\/\/[^/@\s]*:)[^/\s]*(?=@)/, '***');
  if (Array.isArray(value)) return value.map(maskSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, isSecret(name) && member !== '' ? '***' : maskSecrets(member)]),
  );
}

function isSecret(name: string): boolean {
  return /password|secret|token/i.test(name);
}
