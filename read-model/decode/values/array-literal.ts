/** What an array's input function could take for syntax, or for null: such an element is put in quotes. */
const needsQuotes = /["\\{},;\s]|^$|^null$/i;
const special = /["\\]/g;

/** One element of an array literal. */
function element(value: string | null): string {
  if (value === null) return 'NULL';
  return needsQuotes.test(value) ? `"${value.replace(special, String.raw`\$&`)}"` : value;
}

/**
 * Postgres's array literal of values in their text form: the shape in which whole columns travel to `unnest`. The delimiter is a matter of the elements' type:
 * a comma for nearly all.
 */
export function arrayLiteral(values: readonly (string | null)[], delimiter = ','): string {
  let literal = '{';
  for (let index = 0; index < values.length; index += 1) {
    if (index > 0) literal += delimiter;
    literal += element(values[index] ?? null);
  }
  return `${literal}}`;
}

/** {@link arrayLiteral} for values whose text can never need quotes (numbers, booleans, hex): the fast way. */
export function plainArrayLiteral(values: readonly (string | null)[]): string {
  let literal = '{';
  for (let index = 0; index < values.length; index += 1) {
    if (index > 0) literal += ',';
    literal += values[index] ?? 'NULL';
  }
  return `${literal}}`;
}
