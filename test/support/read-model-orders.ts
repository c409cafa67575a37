import assert from 'node:assert/strict';
import { eventually } from './read-database.ts';
import type { ReadModelFixture } from './read-model.ts';
import { cdcReadModel } from './terminal.ts';

/** The statuses of the mirrored orders, by id. */
export async function statuses(model: ReadModelFixture): Promise<Readonly<Record<string, string | null>>> {
  const rows = await model.read.query('SELECT id, status FROM model.orders ORDER BY id');
  return Object.fromEntries(rows.map(({ id, status }) => [id, status]));
}

export async function untilStatuses(model: ReadModelFixture, expected: Readonly<Record<string, string>>): Promise<void> {
  const found = await eventually(
    () => statuses(model),
    (now) => JSON.stringify(now) === JSON.stringify(expected),
  );
  assert.deepEqual(found, expected);
}

export type HaltedPartition = { readonly partition: number; readonly halted: { readonly code: string; readonly cause: string } };

/** The partitions that halt, as the status shows them. */
export async function halted(model: ReadModelFixture): Promise<readonly HaltedPartition[]> {
  const found: (Omit<HaltedPartition, 'halted'> & { readonly halted: HaltedPartition['halted'] | null })[] = JSON.parse(
    await cdcReadModel(model.config, 'status', '--json'),
  );
  return found.flatMap(({ partition, halted: halt }) => (halt === null ? [] : [{ partition, halted: halt }]));
}
