import type { CatalogColumn, KeyMisfit } from '../../source/table/catalog-table.ts';

/** Equal if and only if their event keys are, in an order that an index knows, from a text that reads back as the same value (key-text.ts). */
const fitTypes: ReadonlySet<string> = new Set([
  'int2', 'int4', 'int8', 'oid', 'xid8', 'tid', 'pg_lsn', 'numeric', 'float4', 'float8', 'money', 'bool', 'uuid', 'bytea', 'bit', 'name', 'char', 'inet', 'cidr', 'macaddr',
  'macaddr8', 'date', 'time', 'timestamp', 'timestamptz', 'int4range', 'int8range', 'daterange', 'tsrange', 'tstzrange', 'int4multirange', 'int8multirange',
  'datemultirange', 'tsmultirange', 'tstzmultirange',
]); // prettier-ignore

/** As far as their collation takes different texts for different. */
const texts: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar']);

const misfits: Readonly<Record<string, KeyMisfit>> = {
  varbit: { kind: 'merged', reason: 'its events do not say how many zeros a value begins with: 0 and 00 would be one' },
  timetz: { kind: 'merged', reason: 'its events are in UTC: 05:00+02 and 03:00+00 would be one' },
  interval: { kind: 'variants', reason: '1 day and 24:00:00 are equal to the database' },
  jsonb: { kind: 'variants', reason: '1.0 and 1.00 are equal to the database' },
  numrange: { kind: 'variants', reason: '[1.0,2) and [1.00,2) are equal to the database' },
  nummultirange: { kind: 'variants', reason: '{[1.0,2)} and {[1.00,2)} are equal to the database' },
};

const array: KeyMisfit = { kind: 'merged', reason: 'events do not say at which index an array begins: {1} and [0:0]={1} would be one' };
const looseText: KeyMisfit = { kind: 'variants', reason: 'its collation takes different texts for equal, as a and A' };
const composed: KeyMisfit = { kind: 'variants', reason: 'values of different texts may be equal to the database' };
const unknown: KeyMisfit = { kind: 'unknown', reason: 'nothing is known of which of its values are equal' };

/** Why values of a Postgres column cannot name rows in events; null when they can. */
export function keyMisfit({ type, kind, collation = 'exact' }: Pick<CatalogColumn, 'type' | 'kind' | 'collation'>): KeyMisfit | null {
  const { name, isArray } = type;
  if (isArray) return array;
  if (fitTypes.has(name) || kind === 'e') return null;
  if (texts.has(name)) return collation === 'exact' ? null : looseText;
  if (Object.hasOwn(misfits, name)) return misfits[name] ?? unknown;
  if (kind === 'c' || kind === 'r' || kind === 'm') return composed;
  if (/(?:^|\.)citext$/.test(name)) return { kind: 'variants', reason: 'a and A are equal to it' };
  return /(?:^|\.)ltree$/.test(name) ? null : unknown;
}
