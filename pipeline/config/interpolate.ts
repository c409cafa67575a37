/** Values by name, as in process.env. */
export type Environment = Readonly<Record<string, string | undefined>>;

const reference = /\$\{(?<name>[A-Za-z_]\w*)(?::-(?<fallback>[^}]*))?\}/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}` in a scalar, as a shell does: an unset or empty variable takes the default.
 * `onMissing` hears of each name that has neither.
 */
export function interpolate(text: string, environment: Environment, onMissing: (name: string) => void): string {
  return text.replaceAll(reference, (_whole, name: string, fallback: string | undefined) => {
    const value = environment[name];
    if (value !== undefined && value !== '') return value;
    if (fallback === undefined) onMissing(name);
    return fallback ?? '';
  });
}
