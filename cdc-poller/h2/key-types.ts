import type { CatalogColumn, KeyMisfit } from '../source/table/catalog-table.ts';
import { plainName } from './types.ts';

/** As in Postgres' key-types.ts. A decfloat keeps no zeros at its end, a numeric has those of its scale, and a time with a zone is read in UTC: one text each. */
const fitTypes: ReadonlySet<string> = new Set([
  'tinyint', 'smallint', 'integer', 'bigint', 'numeric', 'decfloat', 'real', 'double precision', 'boolean', 'uuid', 'binary', 'binary varying',
  'date', 'time', 'timestamp', 'timestamp with time zone',
]); // prettier-ignore

const texts: ReadonlySet<string> = new Set(['character', 'character varying']);

const misfits: Readonly<Record<string, KeyMisfit>> = {
  varchar_ignorecase: { kind: 'variants', reason: 'a and A are equal to it' },
  enum: { kind: 'unknown', reason: 'it is ordered by number, and pages are cut by its text' },
  interval: { kind: 'variants', reason: 'intervals of one length may have several texts' },
};

/** Why values of an H2 column cannot name rows in events; null when they can. */
export function h2KeyMisfit({ type, collation = 'exact' }: Pick<CatalogColumn, 'type' | 'collation'>): KeyMisfit | null {
  const name = plainName(type);
  if (fitTypes.has(name)) return null;
  if (texts.has(name)) {
    return collation === 'exact' ? null : { kind: 'variants', reason: 'its collation may take different texts for equal, as a and A' };
  }
  return misfits[name] ?? { kind: 'unknown', reason: 'nothing is known of which of its values are equal' };
}
