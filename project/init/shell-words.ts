/** A word as a POSIX shell reads it back; left alone where it needs no quotes. NUL, which no shell can hold, must not be in it. */
export function shellQuoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
