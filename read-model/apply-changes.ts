import type { EventDecoder } from '#change-events/index.ts';
import type { Change } from './change.ts';
import { collapse, type TableChanges } from './collapse.ts';
import type { CopyTrials } from './copy-trials.ts';
import { queryText, text, type Database } from './database.ts';
import { writeMirror } from './mirror-writer.ts';
import type { Mirror } from './mirror.ts';
import type { Projection } from './projection.ts';
import { arrayLiteral } from './values/array-literal.ts';

/** What applying needs to know of a model. */
export type ModelSchema = {
  readonly schema: string;
  readonly projections: readonly Projection[];
  /** Reads events, those that were parked too. */
  readonly decoder: EventDecoder;
  /** Events that cannot be applied are parked, up to so many at a time; left out, the first one stops the model. */
  readonly parkMost?: number | undefined;
  /** What becomes of events whose values are not of their columns' types, where others are parked: default `park`, too. */
  readonly mismatches?: 'halt' | 'park' | undefined;
  /** While one partition of a table stands still, its others do too, whoever holds them. */
  readonly tablesStandWhole?: boolean | undefined;
  /** New rows are tried by COPY as these say; left out, all rows are upserted. */
  readonly copyTrials?: CopyTrials | undefined;
};

/** Changes of one partition, in their order. */
export type ChangeRun = { readonly mirror: Mirror; readonly partition: number; readonly changes: readonly Change[] };

type Changed = {
  readonly mirror: Mirror;
  readonly changes: TableChanges;
  /** Of the rows that change; none where no view asks. */
  readonly keys: readonly (string | null)[];
  /** `keys` as an array parameter. */
  readonly literal: string;
};

/** The mirrors of these tables have got other columns since the changes were decoded. */
export class StaleMirrorError extends Error {
  override readonly name = 'StaleMirrorError';
  readonly versions: ReadonlyMap<string, number>;

  constructor(versions: ReadonlyMap<string, number>) {
    super(`the mirrors ${[...versions.keys()].join(', ')} have other columns by now`);
    this.versions = versions;
  }
}

/**
 * Applies changes inside the caller's transaction: mirrors, then the views that hang on them.
 *
 * @throws StaleMirrorError before anything is written
 */
export async function applyChanges(client: Database, model: ModelSchema, runs: readonly ChangeRun[]): Promise<void> {
  const written = runs.filter(({ changes }) => changes.length > 0);
  if (written.length === 0) return;
  const byMirror = [...Map.groupBy(written, ({ mirror }) => mirror)].toSorted(([a], [b]) => (a.table < b.table ? -1 : 1));
  const tables: Changed[] = [];
  const truncatedBefore = await lockMirrors(client, written);
  for (const [mirror, parts] of byMirror) {
    const changes = collapse(parts, truncatedBefore.get(mirror.table) ?? null);
    const keys = model.projections.some((projection) => hangsOn(projection, mirror)) ? firstKeyCells(mirror, changes) : [];
    tables.push({ mirror, changes, keys, literal: arrayLiteral(keys) });
  }
  const touched: (readonly string[])[] = [];
  for (const projection of model.projections) touched.push(await touchedKeys(client, projection, tables));
  for (const { mirror, changes } of tables) await writeMirror(client, mirror, changes, model.copyTrials);
  for (const [index, projection] of model.projections.entries()) {
    if (!tables.some(({ mirror }) => hangsOn(projection, mirror))) continue;
    // Two transactions that touch one view row must not each miss what the other has not committed yet. The lock is held until
    // commit, and each statement after it sees all that was committed before: so the last one to project a row sees all it hangs on.
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`read-model ${model.schema}.${projection.name}`]);
    const keys = new Set([...ownKeys(projection, tables), ...(touched[index] ?? []), ...(await touchedKeys(client, projection, tables))]);
    if (keys.size === 0) continue;
    const parameter = arrayLiteral([...keys]);
    for (const statement of projection.recompute) await client.query(statement, [parameter]);
  }
}

/**
 * A truncate in one partition and a row in another must see each other: whoever truncates waits for who writes, and the other way round.
 * Gives the log position of each table's last truncate.
 */
async function lockMirrors(client: Database, runs: readonly ChangeRun[]): Promise<ReadonlyMap<string, bigint>> {
  const truncates = runs.some(({ changes }) => changes.some(({ kind }) => kind === 'truncate'));
  const rows = await queryText(
    client,
    `SELECT mirror_table, truncated_lsn, columns_version FROM mirrored_tables WHERE mirror_table = ANY ($1::name[]) ORDER BY mirror_table
        FOR ${truncates ? 'UPDATE' : 'SHARE'}`,
    [[...new Set(runs.map(({ mirror }) => mirror.table))]],
  );
  const versions = new Map(rows.map((row) => [text(row, 0), Number(row[2])]));
  const stale = runs.filter(({ mirror }) => versions.get(mirror.table) !== mirror.columnsVersion);
  if (stale.length > 0) throw new StaleMirrorError(new Map(stale.map(({ mirror }) => [mirror.table, versions.get(mirror.table) ?? -1])));
  return new Map(rows.flatMap((row) => (row[1] === null ? [] : [[text(row, 0), BigInt(text(row, 1))] as const])));
}

function hangsOn({ keyOf, touchedBy }: Projection, { table }: Mirror): boolean {
  return keyOf === table || touchedBy[table] !== undefined;
}

async function touchedKeys(client: Database, projection: Projection, tables: readonly Changed[]): Promise<readonly string[]> {
  const touched: string[] = [];
  for (const { mirror, changes, literal } of tables) {
    const query = projection.touchedBy[mirror.table];
    const truncated = changes.truncate !== null && (query !== undefined || projection.keyOf === mirror.table);
    if (query === undefined && !truncated) continue;
    const rows = truncated || query === undefined ? await queryText(client, projection.allKeys) : await queryText(client, query, [literal]);
    for (const row of rows) touched.push(text(row, 0));
  }
  return touched;
}

/** What no query need tell. */
function ownKeys({ keyOf }: Projection, tables: readonly Changed[]): readonly string[] {
  return tables.find(({ mirror }) => mirror.table === keyOf)?.keys.filter((key) => key !== null) ?? [];
}

/** The keys of the rows that change: the first column of each key. */
function firstKeyCells(mirror: Mirror, { rows }: TableChanges): readonly (string | null)[] {
  const [keyIndex] = mirror.key;
  const cells: (string | null)[] = [];
  for (const { deletes, upsert } of rows.values()) cells.push((deletes === null ? upsert?.cells[keyIndex ?? 0] : deletes[0]) ?? null);
  return cells;
}
