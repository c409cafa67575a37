import * as z from 'zod';
import { lossOf } from './lossy-types.ts';
import { misnamedColumns } from './unfit-names.ts';
import { publishableQuery, publishableTables, type PublishableTable, type RelationFacts } from './published-facts.ts';

/** What events of the log have of a table's row, beside its values. */
export type LogImage = {
  /** Of the row before an update or a delete: all of it, or these columns; empty where there is none. */
  readonly before: 'row' | readonly string[];
  /** Columns that a stream does not publish, or under another name: only a snapshot's events have them. */
  readonly absent: ReadonlySet<string>;
  /** Columns of which Debezium makes null of some values. */
  readonly nullInstead: ReadonlySet<string>;
  /** Columns of which nobody knows what Debezium makes of their values. */
  readonly uncertain: ReadonlySet<string>;
  /** Columns whose large values are stored apart (TOAST), so that an update that leaves them alone has a placeholder. */
  readonly apart: readonly string[];
};

type Query = (text: string, values: readonly string[]) => Promise<readonly (readonly (string | null)[])[]>;

/**
 * Reads it from the source's catalogue. Null: there is no such table.
 *
 * @param query runs a statement as any role of the source; rows come as texts
 * @param publication that the connector reads
 */
export async function readLogImage(
  query: Query,
  table: { readonly schema: string; readonly table: string },
  publication: string,
): Promise<LogImage | null> {
  const [server] = await query("SELECT current_setting('server_version_num')", []);
  const [row] = await query(publishableQuery(Number(server?.[0])), [JSON.stringify([table]), '{}', '']);
  const [facts] = publishableTables.parse(JSON.parse(row?.[0] ?? '[]'));
  if (facts === undefined) return null;
  const [stored] = await query(storedApartQuery, [table.schema, table.table]);
  return logImage(facts, publication, z.array(z.string()).parse(JSON.parse(stored?.[0] ?? '[]')));
}

/** Pure. */
function logImage(facts: PublishableTable, publication: string, storedApart: readonly string[]): LogImage {
  const before = beforeOf(facts);
  const lost = facts.columns.filter((column) => lossOf(column) === 'lost' || lossOf(column) === 'stops');
  // An array of a built-in type, or of an enum, has its elements or is null. Of anything else that is lost comes another value, or junk.
  const isKnown = ({ isArray, element }: (typeof lost)[number]): boolean =>
    element.builtIn ? isArray || element.name !== 'refcursor' : isArray && element.kind === 'e' && !element.calledAsBuiltIn;
  return {
    before,
    absent: new Set([...absentColumns(facts, publication), ...misnamedColumns(facts.columns.map(({ name }) => name)).keys()]),
    nullInstead: new Set([...lost.filter(isKnown), ...facts.columns.filter(isNullAtEdges)].map(({ name }) => name)),
    uncertain: new Set(lost.filter((column) => !isKnown(column)).map(({ name }) => name)),
    // With the whole row before, Debezium takes the value from there.
    apart: before === 'row' ? [] : storedApart.filter((name) => !before.includes(name)),
  };
}

/** A snapshot has null of a zone with seconds. */
function isNullAtEdges({ isArray, element }: PublishableTable['columns'][number]): boolean {
  return !isArray && element.builtIn && element.name === 'timetz';
}

/** Partitions have an identity of their own, and their table's does not count: what all of them have. */
function beforeOf({ relations }: PublishableTable): LogImage['before'] {
  const identities = relations.filter(({ leaf }) => leaf).map(identityOf);
  const parts = identities.filter((identity) => identity !== 'row');
  const [first, ...more] = parts;
  if (first === undefined) return identities.length === 0 ? [] : 'row';
  return first.filter((column) => more.every((other) => other.includes(column)));
}

function identityOf({ identity, identityIndex, key }: RelationFacts): LogImage['before'] {
  if (identity === 'f') return 'row';
  if (identity === 'n') return [];
  return (identity === 'i' ? identityIndex : key)?.columns ?? [];
}

/** Generated columns that the publication does not hold, and what its column list does not name. */
function absentColumns({ relations, columns, version }: PublishableTable, publication: string): readonly string[] {
  const [table] = relations;
  if (table === undefined) return [];
  const published = table.publications.find(({ name }) => name === publication);
  const listed = published?.columns ?? null;
  if (listed !== null) return columns.map(({ name }) => name).filter((name) => !listed.includes(name));
  return version >= 18 && published?.stored === true ? table.virtual : [...table.stored, ...table.virtual];
}

/** All but those of a plain storage, which are of fixed size, and numbers of so few digits that nobody moves them. */
const storedApartQuery = `
  SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped AND a.attstorage <> 'p'
    AND NOT (a.atttypid = 'numeric'::regtype AND a.atttypmod >= 0 AND (a.atttypmod - 4) >> 16 <= 30)`;
