import type { CatalogColumn } from '../source/table/catalog-table.ts';
import { isBinary } from './types.ts';

/** As Postgres has them. What is not here is `text`: texts, enum, and times with more digits than Postgres keeps. */
const types: Readonly<Record<string, string>> = {
  tinyint: 'smallint', smallint: 'smallint', integer: 'integer', bigint: 'bigint', numeric: 'numeric', decfloat: 'numeric', real: 'real',
  'double precision': 'double precision', boolean: 'boolean', date: 'date', timestamp: 'timestamp', 'timestamp with time zone': 'timestamptz',
  character: 'bpchar', interval: 'interval', json: 'json', uuid: 'uuid',
}; // prettier-ignore

/** The type of the mirror's column, which holds every value that the column can have. */
export function h2MirrorType({ type: { name, modifier } }: CatalogColumn): string {
  if (isBinary(name)) return 'bytea';
  if (name === 'time' || name === 'time with time zone') return modifier > 6 ? 'text' : name === 'time' ? 'time' : 'timetz';
  return types[name] ?? 'text';
}
