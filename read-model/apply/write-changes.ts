import type { CdcError } from '#pipeline/index.ts';
import type { EventDecoder } from '#change-events/index.ts';
import { collapse, type PartitionChanges, type TableChanges, type Truncated } from './collapse.ts';
import type { CopyTrials } from '../mirrors/copy-trials.ts';
import { queryText, text, type Database } from '../database.ts';
import { writeHistory } from '../mirrors/history-writer.ts';
import { writeMirror } from '../mirrors/mirror-writer.ts';
import type { Mirror } from '../mirrors/mirror.ts';
import { beforeViews } from '../views/keep-views.ts';
import type { Projection } from '../views/projection.ts';

/** What applying needs to know of a model. */
export type TargetModel = {
  readonly schema: string;
  readonly projections: readonly Projection[];
  /** Reads events, those that were parked too. */
  readonly decoder: EventDecoder;
  /** Events that cannot be applied are parked, up to so many at a time; left out, the first one stops the model. */
  readonly parkMost?: number | undefined;
  /** What becomes of events whose values are not of their columns' types, where others are parked: default `park`, too. */
  readonly mismatches?: 'halt' | 'park' | undefined;
  /** While one partition of a table halts, its others do too, whoever holds them. */
  readonly haltsWholeTables?: boolean | undefined;
  /** New rows are tried by COPY as these say; left out, all rows are upserted. */
  readonly copyTrials?: CopyTrials | undefined;
  /** Called when a view halts. The transaction may still be tried again. */
  readonly onFault?: ((error: CdcError) => void) | undefined;
};

/** Changes of one partition, in their order. */
export type ChangeRun = PartitionChanges & { readonly mirror: Mirror };

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
export async function writeChanges(client: Database, model: TargetModel, runs: readonly ChangeRun[]): Promise<void> {
  const written = runs.filter(({ changes }) => changes.length > 0);
  if (written.length === 0) return;
  const byMirror = [...Map.groupBy(written, ({ mirror }) => mirror)].toSorted(([a], [b]) => (a.table < b.table ? -1 : 1));
  const truncated = await lockMirrors(client, written);
  const tables = byMirror.map(([mirror, parts]) => ({
    mirror,
    changes: collapse(parts, truncated.get(mirror.table) ?? null, mirror.deletes === 'mark' ? mirror : null),
  }));
  const changed = tables.map(({ mirror, changes }) => {
    const asked = model.projections.some(({ reads }) => reads.includes(mirror.table));
    return { mirror, truncated: changes.truncate !== null, keys: asked ? changedKeys(mirror, changes) : [] };
  });
  const keepViews = await beforeViews(client, { schema: model.schema, projections: model.projections, onFault: model.onFault }, changed);
  for (const { mirror, partition, changes } of written) if (mirror.history) await writeHistory(client, mirror, partition, changes);
  for (const { mirror, changes } of tables) await writeMirror(client, mirror, changes, model.copyTrials);
  await keepViews();
}

/**
 * A truncate in one partition and a row in another must see each other: whoever truncates waits for who writes, and the other way round.
 * Gives each table's last truncate.
 */
async function lockMirrors(client: Database, runs: readonly ChangeRun[]): Promise<ReadonlyMap<string, Truncated>> {
  const truncates = runs.some(({ changes }) => changes.some(({ kind }) => kind === 'truncate'));
  const rows = await queryText(
    client,
    `SELECT mirror_table, truncated_lsn, columns_version, (extract(epoch FROM truncated_at) * 1000000)::bigint FROM mirrored_tables WHERE mirror_table = ANY ($1::name[]) ORDER BY mirror_table
        FOR ${truncates ? 'UPDATE' : 'SHARE'}`,
    [[...new Set(runs.map(({ mirror }) => mirror.table))]],
  );
  const versions = new Map(rows.map((row) => [text(row, 0), Number(row[2])]));
  const stale = runs.filter(({ mirror }) => versions.get(mirror.table) !== mirror.columnsVersion);
  if (stale.length > 0) throw new StaleMirrorError(new Map(stale.map(({ mirror }) => [mirror.table, versions.get(mirror.table) ?? -1])));
  return new Map(
    rows.flatMap((row) => (row[1] === null ? [] : [[text(row, 0), { before: BigInt(text(row, 1)), at: row[3] ?? null }] as const])),
  );
}

/** The primary keys of the rows that change, as texts. */
function changedKeys(mirror: Mirror, { rows }: TableChanges): readonly (readonly (string | null)[])[] {
  const keys: (readonly (string | null)[])[] = [];
  for (const { deletes, upsert } of rows.values()) keys.push(deletes ?? mirror.key.map((index) => upsert?.cells[index] ?? null));
  return keys;
}
