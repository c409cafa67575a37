import type { CatalogColumn } from '../source/table/catalog-table.ts';
import { vectorDelimiter } from './values/array-text.ts';

/** Types that mean nothing in another database, or hold less than their text. */
const asText: ReadonlySet<string> = new Set([
  'varchar', 'name', 'refcursor', 'aclitem', 'regclass', 'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoperator', 'regprocedure',
  'regrole', 'regtype', 'xid', 'cid',
]); // prettier-ignore

/** Of those that are text here, which Debezium does not know: it writes the bytes of their text (include.unknown.datatypes), which JSON has in base64. */
const unknownToDebezium: ReadonlySet<string> = new Set([
  'xid', 'cid', 'aclitem', 'regclass', 'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoperator', 'regprocedure', 'regrole', 'regtype',
]); // prettier-ignore
const knownExtensions = /\.(?:citext|hstore|ltree|lquery|ltxtquery)$/;

/** Whether the log's events have the bytes of the column's text, so that its mirror, which is text, must know. */
export function writtenAsBytes({ type: { name }, kind = 'b' }: CatalogColumn): boolean {
  if (kind === 'c' || ((kind === 'r' || kind === 'm') && name.includes('.'))) return true;
  if (kind !== 'b' || !name.includes('.')) return unknownToDebezium.has(name);
  return !knownExtensions.test(name) && !structures.test(name);
}

/** Whether the log's events have an object of the column's value, or a list of its numbers. */
export function writtenAsStructure({ type: { name } }: CatalogColumn): boolean {
  return name === 'point' || structures.test(name);
}

/**
 * Types of extensions whose values a column of the type holds as the source has them, from both strategies. Not citext: its columns group and sort as it does, while
 * `=` finds its operator only where its schema is in the search path, so a projection would mean one thing here and another there.
 */
const heldTypes = /\.(?<type>hstore|ltree)$/;

export function extensionType({ type: { name, isArray }, kind = 'b' }: CatalogColumn): string | null {
  return kind === 'b' && !isArray ? (heldTypes.exec(name)?.groups?.['type'] ?? null) : null;
}

/** Of extensions; Debezium writes these as a structure or as numbers. */
const structures = /\.(?:geometry|geography|vector|halfvec|sparsevec)$/;

/**
 * The type of the mirror's column. Of a built-in type it is the same without length, precision or scale, which only the source must enforce (but for `bit`, whose
 * length is part of the value). Types of the source's own, and of extensions, which the read database may not have, are `text`, as their events write them.
 */
export function postgresMirrorType(column: CatalogColumn, capturedBy: 'query' | 'log'): string {
  const { type } = column;
  const levels = type.delimiters ?? (type.isArray ? [','] : []);
  const isVector = levels.at(-1) === vectorDelimiter;
  const element = isVector ? (type.name === 'int2' ? 'int2vector' : 'oidvector') : elementType(column, capturedBy);
  const dimensions = levels.length - (isVector ? 1 : 0);
  // Arrays of a domain over arrays: each of another length. No type of Postgres' own has that.
  if (dimensions > 1) return 'json';
  return dimensions === 1 ? `${element}[]` : element;
}

function elementType({ type: { name, modifier }, kind = 'b' }: CatalogColumn, capturedBy: 'query' | 'log'): string {
  const isBuiltIn = !name.includes('.') && (kind === 'b' || kind === 'r' || kind === 'm');
  if (!isBuiltIn) return capturedBy === 'log' && structures.test(name) ? 'json' : 'text';
  if (asText.has(name)) return 'text';
  return name === 'bit' ? `pg_catalog."bit"(${Math.max(modifier, 1)})` : `pg_catalog."${name}"`;
}
