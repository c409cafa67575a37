import * as fc from 'fast-check';

/** What a careless reader of a name takes for syntax: of SQL, of a query builder, of a pattern, of a list, of JSON, of a template. */
const pieces = [
  '"', "'", '`', '.', '..', '?', '??', '*', ' as ', ' AS ', ':x', ':x:', '$1', '$$', '${x}', '%', '%I', '_', '\\', '\\?', '\\"', '\n', '\t', ' ', ',', ';', '--', '/*', '*/', '#', '(', ')', '[', ']', '{', '}', '|',
  '^', '+', '&', '<', '>', '=', '@', '!', '~', '/', 'ä', 'Ж', 'a', 'A', 'id', 'ID', 'Id', 'x', '1', 'seen', 'xmin', 'select', 'order', 'user', 'null', '__proto__', 'n0', '"n0"',
]; // prettier-ignore

/** What every JavaScript object has: who keeps values by name meets it. The drivers refuse some of them by name. */
export const memberNames: readonly string[] = [
  '__proto__', 'constructor', 'toString', 'valueOf', 'hasOwnProperty', '__defineGetter__', '__defineSetter__', '__lookupGetter__', '__lookupSetter__', 'length', 'then', 'toJSON',
]; // prettier-ignore

/** Whole names that mean something somewhere. */
const words = [
  ...memberNames,
  'order', 'user', 'select', 'table', 'group', 'key', 'index', 'signal', 'default', 'check', 'all', 'limit', 'offset', 'null', 'true', 'current_user', 'window', 'rows', 'rank', 'system',
  'seen', 'source', 'hash', 'id', 'ID', 'Id', 'a.b', 'status?', 'price as paid', '*', 'x" text; DROP TABLE orders; --',
]; // prettier-ignore

/** The longest beginning of `text` that takes no more bytes than that. */
function cutToBytes(text: string, bytes: number): string {
  let cut = '';
  for (const letter of text) {
    if (Buffer.byteLength(cut + letter) > bytes) break;
    cut += letter;
  }
  return cut;
}

/** A name of 1 to `bytes` bytes that a Postgres takes, made of what others take for syntax. */
export function hostileName(bytes: number): fc.Arbitrary<string> {
  const made = fc.array(fc.constantFrom(...pieces, '😀'), { minLength: 1, maxLength: 12 }).map((parts) => parts.join(''));
  const long = made.map((text) => text.repeat(bytes));
  return fc
    .oneof({ weight: 3, arbitrary: made }, fc.constantFrom(...words), long)
    .map((text) => cutToBytes(text, bytes))
    .filter((text) => text !== '');
}

/** The same as a MariaDB takes it: at most 64 characters, none beyond the basic plane, no blank at the end. */
export function hostileMariadbName(characters: number): fc.Arbitrary<string> {
  return hostileName(characters * 3)
    .map((text) =>
      text
        .replaceAll(/[\u{10000}-\u{10ffff}]/gu, '☺')
        .slice(0, characters)
        .trimEnd(),
    )
    .filter((text) => text !== '');
}
