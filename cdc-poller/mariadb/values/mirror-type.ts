import type { CatalogColumn } from '../../source/table/catalog-table.ts';
import { anyDecimals, isBinary } from './types.ts';

/** As Postgres has them. What is not here is `text`: enum, set, time (which may be longer than a day), inet4, inet6. */
const types: Readonly<Record<string, string>> = {
  tinyint: 'smallint', smallint: 'smallint', mediumint: 'integer', int: 'integer', bigint: 'bigint', year: 'integer', decimal: 'numeric',
  double: 'double precision', date: 'date', datetime: 'timestamp', timestamp: 'timestamptz', json: 'json', uuid: 'uuid',
}; // prettier-ignore

/** Without a sign they are twice as large. */
const unsignedTypes: Readonly<Record<string, string>> = { smallint: 'integer', int: 'bigint', bigint: 'numeric' };

const geometries = /^(?:geometry|point|geom|(?:multi)?(?:point|linestring|polygon))/;

/** Debezium writes a structure of these. */
export function isGeometry(name: string): boolean {
  return geometries.test(name);
}

/** The type of the mirror's column, which holds every value that the column can have. */
export function mariadbMirrorType({ type: { name, modifier }, sqlType }: CatalogColumn, capturedBy: 'query' | 'log'): string {
  if (isGeometry(name)) return capturedBy === 'log' ? 'json' : 'bytea';
  if (name === 'bit') return modifier === 1 ? 'boolean' : `bit(${modifier})`;
  if (isBinary(name)) return 'bytea';
  if (name === 'float') return modifier === anyDecimals ? 'real' : 'double precision';
  const isUnsigned = sqlType.includes('UNSIGNED');
  return (isUnsigned ? unsignedTypes[name] : undefined) ?? types[name] ?? 'text';
}
