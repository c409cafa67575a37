import { loggedTables } from '#cdc-poller/index.ts';
import { formatTableId, parseTableId, type TableId } from '#change-events/index.ts';
import type { LegacyDbConfig } from '#pipeline/index.ts';
import { wantedMirrors, type WantedMirror } from '#read-model/index.ts';

/** The mirrors of a source's tables as its catalogue has them, all columns, none left out as unfit. `names`: of mirrors, by their table. */
export async function capturedMirrors(
  legacyDb: LegacyDbConfig,
  tables: readonly (string | TableId)[],
  names: readonly string[] = [],
): Promise<readonly WantedMirror[]> {
  const ids = tables.map((table) => (typeof table === 'string' ? parseTableId(table) : table));
  const found = await loggedTables(
    legacyDb,
    ids,
    () => false,
    () => null,
  );
  const entries = ids.map((id, index) => ({ table: formatTableId(id), deletes: 'remove' as const, history: false, name: names[index] }));
  return wantedMirrors('model', entries, found).mirrors;
}
