import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { CellText, Change, Lsn } from '#read-model/decode/change.ts';
import { collapse, type PartitionChanges, type TableChanges } from '#read-model/apply/collapse.ts';

/** A mirror as a map: key → cells and log position. The slow, plain way to apply events, one after the other. */
type Rows = Map<string, { readonly cells: readonly CellText[]; readonly lsn: Lsn }>;
type Table = { rows: Rows; truncatedBefore: number | null };

class MissingRow extends Error {}

function applyOne({ rows, truncatedBefore }: Table, change: Change): number | null {
  if (change.kind === 'truncate') {
    const before = Number(change.lsn);
    for (const [key, row] of rows) if (Number(row.lsn) < before) rows.delete(key);
    return Math.max(before, truncatedBefore ?? 0);
  }
  if (change.kind === 'delete') rows.delete(change.key);
  else if (truncatedBefore === null || Number(change.lsn) >= truncatedBefore) {
    const stored = rows.get(change.key)?.cells;
    if (change.cells.includes(undefined) && stored === undefined) throw new MissingRow();
    rows.set(change.key, { cells: change.cells.map((cell, index) => (cell === undefined ? stored?.[index] : cell)), lsn: change.lsn });
  }
  return truncatedBefore;
}

/** What mirror-writer.ts does with the collapsed batch, on a map. */
function applyCollapsed({ rows }: Table, changes: TableChanges): void {
  if (changes.truncate !== null) {
    for (const [key, row] of rows) if (Number(row.lsn) < Number(changes.truncate.before)) rows.delete(key);
  }
  for (const [key, { deletes }] of changes.rows) if (deletes !== null) rows.delete(key);
  for (const [key, { upsert }] of changes.rows) {
    if (upsert === null) continue;
    const stored = rows.get(key)?.cells;
    assert.ok(!upsert.isNew || stored === undefined, `${key} counts as new and is stored`);
    assert.equal(upsert.partial, upsert.cells.includes(undefined));
    if (upsert.partial && stored === undefined) throw new MissingRow();
    rows.set(key, { cells: upsert.cells.map((cell, index) => (cell === undefined ? stored?.[index] : cell)), lsn: upsert.lsn });
  }
}

type Step = { readonly kind: 'upsert' | 'delete' | 'truncate'; readonly key: number; readonly keep: number; readonly partition: number };

const step = fc.record<Step>({
  kind: fc.constantFrom('upsert', 'upsert', 'upsert', 'delete', 'delete', 'truncate'),
  key: fc.nat(5),
  keep: fc.constantFrom(0, 0, 0, 1, 2, 3),
  partition: fc.nat(1),
});

/** Events in the source's order; keys of a partition are its own, as in Kafka. */
function toChange({ kind, key, keep, partition }: Step, at: number, isNew = false): Change {
  const name = `${partition}:${key}`;
  const offset = BigInt(at);
  if (kind === 'delete') return { kind, key: name, keyCells: [name], offset };
  if (kind === 'truncate') return { kind, lsn: at, offset };
  const cells = [name, (keep & 1) === 0 ? `a${at}` : undefined, (keep & 2) === 0 ? `b${at}` : undefined];
  return { kind, key: name, cells, partial: keep !== 0, lsn: at, offset, isNew };
}

function attempt(work: () => Table): { readonly rows: [string, unknown][] } | 'missing row' {
  try {
    return { rows: [...work().rows].toSorted(([a], [b]) => (a < b ? -1 : 1)) };
  } catch (error) {
    if (error instanceof MissingRow) return 'missing row';
    throw error;
  }
}

test('a collapsed batch does what its events do one after the other', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 10 }), fc.array(step, { maxLength: 30 }), (earlier, batch) => {
      const start = (): Table => {
        const table: Table = { rows: new Map(), truncatedBefore: null };
        for (const [at, one] of earlier.entries()) table.truncatedBefore = applyOne(table, toChange({ ...one, keep: 0 }, at));
        return table;
      };
      // An event that completes what is stored is an update; of the others those of a row that is not there are creates.
      const stored = start();
      const changes = batch.map((one, index) => {
        const at = 100 + index;
        const isNew = one.kind === 'upsert' && one.keep === 0 && !stored.rows.has(`${one.partition}:${one.key}`);
        stored.truncatedBefore = applyOne(stored, toChange({ ...one, keep: 0 }, at));
        return toChange(one, at, isNew);
      });
      const sequential = attempt(() => {
        const table = start();
        for (const change of changes) table.truncatedBefore = applyOne(table, change);
        return table;
      });
      const collapsed = attempt(() => {
        const table = start();
        const partitions = [0, 1].map((partition): PartitionChanges => ({
          partition,
          changes: changes.filter((_, index) => batch[index]?.partition === partition),
        }));
        applyCollapsed(table, collapse(partitions, table.truncatedBefore));
        return table;
      });
      // A row that no stored row can complete may be superseded later in the batch: then it does no harm.
      if (sequential !== 'missing row') assert.deepEqual(collapsed, sequential);
    }),
    { numRuns: 2000 },
  );
});

function upsertAt(at: number): Change {
  return { kind: 'upsert', key: '1', cells: ['1', String(at)], partial: false, lsn: at, offset: BigInt(at), isNew: at === 1 };
}

test('each key comes once, so that one statement can take the whole batch', () => {
  const { rows } = collapse([{ partition: 0, changes: [upsertAt(1), upsertAt(2), upsertAt(3)] }], null);
  assert.deepEqual(
    [...rows.values()].map(({ upsert: row }) => row?.cells),
    [['1', '3']],
  );
});

test('a row that keeps columns of a row deleted in the same batch has nothing to keep', () => {
  const { rows } = collapse(
    [
      {
        partition: 0,
        changes: [
          { kind: 'delete', key: '1', keyCells: ['1'], offset: 0n },
          { kind: 'upsert', key: '1', cells: ['1', undefined], partial: true, lsn: 2, offset: 1n, isNew: false },
        ],
      },
    ],
    null,
  );
  assert.deepEqual(rows.get('1'), {
    partition: 0,
    deletes: ['1'],
    upsert: { cells: ['1', undefined], partial: true, lsn: 2, isNew: false },
  });
});

function keyedBy(lsn: Lsn): Change {
  return { kind: 'upsert', key: String(lsn), cells: ['x'], partial: false, lsn, offset: 0n, isNew: true };
}

test('events older than a truncate that was applied before are superseded, unless their position is unknown', () => {
  const { rows } = collapse([{ partition: 0, changes: [keyedBy(5), keyedBy(10), keyedBy(11n), keyedBy(null)] }], 10n);
  assert.deepEqual([...rows.keys()], ['10', '11', 'null']);
});
