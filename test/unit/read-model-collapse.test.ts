import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { CellText, Change, Lsn } from '#read-model/decode/change.ts';
import { collapse, type PartitionChanges, type TableChanges, type Truncated } from '#read-model/apply/collapse.ts';

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

const truncatedAt = (before: number | null): Truncated | null => (before === null ? null : { before, at: String(before) });

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
        applyCollapsed(table, collapse(partitions, truncatedAt(table.truncatedBefore)));
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
  const { rows } = collapse([{ partition: 0, changes: [keyedBy(5), keyedBy(10), keyedBy(11n), keyedBy(null)] }], truncatedAt(10));
  assert.deepEqual([...rows.keys()], ['10', '11', 'null']);
});

/** A mirror where deleted rows stay. */
type MarkedRows = Map<string, { cells: readonly CellText[]; lsn: Lsn; deletedAt: number | null }>;
type MarkedTable = { readonly rows: MarkedRows; truncated: Truncated | null };

/** What mirror-writer.ts does with a collapsed batch of such a mirror, on a map. */
function applyMarked(table: MarkedTable, partitions: readonly PartitionChanges[]): void {
  const { rows } = table;
  const { truncate, rows: states } = collapse(partitions, table.truncated, { key: [0] });
  const put = (upsert: { readonly cells: readonly CellText[]; readonly partial: boolean; readonly lsn: Lsn }): void => {
    const [key = ''] = upsert.cells;
    const stored = rows.get(String(key));
    const cells = upsert.cells.map((cell, index) => (cell === undefined ? stored?.cells[index] : cell));
    rows.set(String(key), { cells, lsn: upsert.lsn, deletedAt: upsert.partial ? (stored?.deletedAt ?? null) : null });
  };
  for (const { gone } of states.values()) if (gone !== undefined && (!gone.partial || rows.has(String(gone.cells[0])))) put(gone);
  for (const { deletes, deletedAt } of states.values()) {
    const row = rows.get(deletes?.[0] ?? '');
    const at = Number(deletedAt);
    if (row !== undefined && (row.deletedAt === null || row.deletedAt > at)) row.deletedAt = at;
  }
  if (truncate !== null) {
    for (const row of rows.values()) if (Number(row.lsn) < Number(truncate.before)) row.deletedAt ??= Number(truncate.at);
    if (Number(truncate.before) > Number(table.truncated?.before ?? -1)) table.truncated = truncate;
  }
  for (const { upsert } of states.values()) {
    if (upsert === null) continue;
    if (upsert.partial) assert.equal(rows.get(String(upsert.cells[0]))?.deletedAt, null, 'there is a row to complete');
    put(upsert);
  }
}

/** Only what a source can do: it updates and deletes rows that are there. */
function history(steps: readonly Step[]): readonly { readonly partition: number; readonly change: Change }[] {
  const alive = new Set<string>();
  return steps.map(({ kind, key, keep, partition }, at) => {
    const name = `${partition}:${key}`;
    const isThere = alive.has(name);
    const one = { key, partition, kind: kind === 'delete' && !isThere ? ('upsert' as const) : kind, keep: isThere ? keep : 0 };
    if (one.kind === 'truncate') alive.clear();
    else alive[one.kind === 'delete' ? 'delete' : 'add'](name);
    const op = one.kind === 'truncate' ? 't' : one.kind === 'delete' ? 'd' : isThere ? 'u' : 'c';
    return { partition, change: { ...toChange(one, at, !isThere), origin: { op, at: String(at), transaction: null } } };
  });
}

test('where deleted rows stay, it does not matter which events came in one batch, nor which partition came first: each row has its last values, and is marked when it went', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 24 }), fc.nat(24), fc.boolean(), (steps, cut, swap) => {
      const events = history(steps);
      // Which of several truncates a row of another partition met is not known any more.
      const isLogged = events.filter(({ change }) => change.kind === 'truncate').length < 2;
      const of = (partition: number, from: readonly (typeof events)[number][]): PartitionChanges => ({
        partition,
        changes: from.filter((event) => event.partition === partition).map(({ change }) => change),
      });
      const after = (batches: readonly (readonly PartitionChanges[])[]): unknown => {
        const table: MarkedTable = { rows: new Map(), truncated: null };
        for (const batch of batches) applyMarked(table, batch);
        return [...table.rows].map(([key, { cells, deletedAt }]) => ({ key, cells, deletedAt: isLogged || deletedAt === null ? deletedAt : 'some time' })).toSorted((a, b) => (a.key < b.key ? -1 : 1));
      };
      const oneByOne = after(events.map((event) => [{ partition: event.partition, changes: [event.change] }]));
      const [first, second] = swap ? [1, 0] : [0, 1];
      assert.deepEqual(after([[of(0, events), of(1, events)]]), oneByOne, 'all in one batch');
      assert.deepEqual(after([[of(first, events)], [of(second, events)]]), oneByOne, 'one partition before the other');
      const halves = [events.slice(0, cut), events.slice(cut)];
      assert.deepEqual(after(halves.map((half) => [of(0, half), of(1, half)])), oneByOne, 'in two batches');
      assert.deepEqual(after([...halves.map((half) => [of(first, half)]), [of(second, events)]]), oneByOne, 'in three');
      const last = events.findLastIndex(({ change }) => change.kind === 'truncate');
      if (last === events.length - 1 && last >= 0) assert.ok(!JSON.stringify(oneByOne).includes('"deletedAt":null'), 'a truncate leaves no row');
    }),
    { numRuns: 3000 },
  );
}); // prettier-ignore
