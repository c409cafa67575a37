import { escapeIdentifier } from 'pg';
import type { TableId } from '#change-events/index.ts';
import { hidesRowsSql } from '../postgres/relation-state.ts';
import type { Digest, KeyRange, SweepKeyType } from './key-set.ts';

type TextRows = readonly (readonly (string | null)[])[];

/** Runs a query and gives its rows as texts. `rowsOf` says how many of the table's rows the server read for them: its load is governed. */
type TextQuery = (text: string, values?: readonly string[], rowsOf?: (rows: TextRows) => number) => Promise<TextRows>;

export type SweptTable = {
  readonly id: TableId;
  /** Its own rows alone, not those of tables that inherit from it. */
  readonly inheritable?: boolean;
  readonly keyColumn: string;
  readonly keyType: SweepKeyType;
};

/** What must be the same from the beginning of a sweep to its end, and what must not be there at all. */
export type TableIdentity = {
  readonly oid: string;
  /** Changes when the table is truncated or rewritten. */
  readonly file: string;
  /** A policy hides rows from this role: to it, they look deleted. */
  readonly rowSecurity: boolean;
};

/** The legacy database as a sweep asks it: digests and lists of keys, of one range at a time. Read-only. */
export type SweepSource = {
  /** Null when the table is not there. */
  identity(): Promise<TableIdentity | null>;
  digest(range: KeyRange): Promise<Digest>;
  /** Keys in a range. */
  list(range: KeyRange): Promise<ReadonlySet<string>>;
  /** Those of `keys` that are in the table. */
  present(keys: readonly string[]): Promise<ReadonlySet<string>>;
};

/** Names are always qualified, so that no search_path can lead to another table. */
export function sweepSource(query: TextQuery, { id, inheritable = false, keyColumn, keyType }: SweptTable): SweepSource {
  const table = `${inheritable ? 'ONLY ' : ''}${escapeIdentifier(id.schema)}.${escapeIdentifier(id.table)}`;
  const key = escapeIdentifier(keyColumn);
  const where = ({ after }: KeyRange): string =>
    after === null ? `${key} <= $1::${keyType}` : `${key} <= $1::${keyType} AND ${key} > $2::${keyType}`;
  return {
    async identity() {
      const [row] = await query(identityQuery, [id.schema, id.table]);
      if (row === undefined) return null;
      const [oid, file, rowSecurity] = row;
      return { oid: oid ?? '', file: file ?? '', rowSecurity: rowSecurity === 't' };
    },
    async digest(range) {
      const [row = []] = await query(digestSql(table, key, where(range)), bounds(range), ([counts]) => Number(counts?.[0] ?? 0));
      const [count, high, low] = row;
      return { count: BigInt(count ?? '0'), high: BigInt(high ?? '0'), low: BigInt(low ?? '0') };
    },
    async list(range) {
      return new Set(
        (await query(`SELECT ${key} FROM ${table} WHERE ${where(range)}`, bounds(range), rowCount)).map(([found]) => found ?? ''),
      );
    },
    async present(keys) {
      const rows = await query(`SELECT ${key} FROM ${table} WHERE ${key} = ANY ($1::${keyType}[])`, [`{${keys.join(',')}}`], rowCount);
      return new Set(rows.map(([found]) => found ?? ''));
    },
  };
}

function rowCount(rows: TextRows): number {
  return rows.length;
}

/** Values of a range's $1 and, but for the first range, $2. */
function bounds({ after, keys }: KeyRange): readonly string[] {
  return [keys.at(-1) ?? '', ...(after === null ? [] : [after])];
}

const identityQuery = `
  SELECT c.oid, pg_relation_filenode(c.oid), ${hidesRowsSql('c.oid')}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;

function digestSql(table: string, key: string, where: string): string {
  return `SELECT count(*), ${sumOfHalf(1)}, ${sumOfHalf(9)} FROM (SELECT md5(${key}::text) AS hash FROM ${table} WHERE ${where}) AS hashes`;
}

/** The sum of 32 bits of each hash, as unsigned numbers: 2^31 rows fit in a bigint, and sum() of bigint is numeric besides. */
function sumOfHalf(from: number): string {
  return `coalesce(sum(('x' || substr(hash, ${from}, 8))::bit(32)::bigint), 0)`;
}
