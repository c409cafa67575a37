import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDecoder, stringifyLossless, unavailableValue, type EventDecoder, type Row } from '#change-events/index.ts';
import { changeReader } from '#read-model/decode/change-reader.ts';
import type { Change } from '#read-model/decode/change.ts';
import type { Mirror } from '#read-model/mirrors/mirror.ts';
import { toParameter } from '#read-model/decode/values/parameter.ts';
import type { ColumnDemand } from '#read-model/mirrors/column-demand.ts';

const columns = ['id', 'name', 'note'].map((name) => ({
  name,
  carrier: 'text',
  cast: null,
  plain: false,
  toParameter: String,
  isUnavailable: (value: unknown) => value === unavailableValue,
  required: name === 'name',
  widerFor: null,
}));

const mirror: Mirror = {
  source: { schema: 'public', table: 't' },
  schema: 'model',
  table: 't',
  columns,
  key: [0],
  columnNames: new Set(columns.map(({ name }) => name)),
  columnsSpent: columns.length + 1,
  columnsVersion: 1,
  deletes: 'remove',
  history: false,
  follows: true,
  identity: '',
};

function read(rows: readonly Row[]): { readonly changes: readonly Change[]; readonly demands: readonly ColumnDemand[] } {
  const demands: ColumnDemand[] = [];
  const reader = changeReader(eventDecoder(undefined), mirror, (demand) => demands.push(demand));
  const source = { connector: 'c', name: 'n', db: 'd', schema: 'public', table: 't', lsn: 1 };
  const changes = rows.map((after, index) => {
    const value = Buffer.from(stringifyLossless({ before: null, after, source, op: 'u' }));
    const message = { offset: BigInt(index), key: null, value, timestamp: 0, headers: {} };
    return reader(message, { topic: 't', partition: 0, offset: String(index) });
  });
  return { changes, demands };
}

function cellsOf(change: Change | undefined): unknown {
  return change?.kind === 'upsert' ? [change.key, change.partial, ...change.cells] : change;
}

test('values go where their columns are, also when rows of other columns come in between, as many of them as before', () => {
  const rows = [
    { id: 1, name: 'a', note: 'x' },
    { id: 2, name: 'b', note: 'y' },
    { note: 'z', name: 'c', id: 3 },
    { id: 4, name: 'd', other: null },
    { id: 5, name: 'e' },
    { id: 6, name: 'f', note: 'u' },
  ];
  const { changes, demands } = read(rows);
  assert.deepEqual(changes.map(cellsOf), [
    ['1', false, '1', 'a', 'x'],
    ['2', false, '2', 'b', 'y'],
    ['3', false, '3', 'c', 'z'],
    ['4', false, '4', 'd', null],
    ['5', false, '5', 'e', null],
    ['6', false, '6', 'f', 'u'],
  ]);
  assert.deepEqual(demands, []);
});

test('a column that the mirror lacks is asked for by its first value, one that must be and is not by its lack', () => {
  const { demands } = read([
    { id: 1, name: 'a', more: null },
    { id: 1, name: 'a', more: 'x' },
    { id: 1, name: null, note: 'y' },
  ]);
  assert.deepEqual(demands, [
    { kind: 'add', column: 'more', type: 'text' },
    { kind: 'nullable', column: 'name' },
  ]);
});

function wide(id: number, count: number): Row {
  return { id, name: 'a', ...Object.fromEntries(Array.from({ length: count }, (_, at) => [`of_${id}_${at}`, at])) };
}

test('columns are asked for as long as a table can have them, by an event all or none', () => {
  const { demands } = read([wide(1, 900)]);
  assert.equal(demands.length, 900);
  const asked: ColumnDemand[] = [];
  const reader = changeReader(eventDecoder(undefined), mirror, (demand) => asked.push(demand));
  const source = { connector: 'c', name: 'n', db: 'd', schema: 'public', table: 't', lsn: 1 };
  const readOne = (after: Row): Change => {
    const value = Buffer.from(stringifyLossless({ before: null, after, source, op: 'u' }));
    return reader({ offset: 0n, key: null, value, timestamp: 0, headers: {} }, { topic: 't', partition: 0, offset: '0' });
  };
  const unfit = { code: 'READ_MODEL_COLUMN_UNFIT' };
  readOne(wide(1, 900));
  assert.throws(() => readOne(wide(2, 900)), unfit);
  assert.throws(() => readOne({ ...wide(3, 2), xmin: 1 }), unfit);
  readOne(wide(1, 900));
  readOne(wide(4, 600));
  assert.deepEqual(new Set(asked.map(({ column }) => column.replace(/_\d+$/, ''))), new Set(['of_1', 'of_4']));
});

/** What comes of a delete without its key, where the key's column has that name. */
function outcome(name: string): unknown {
  const [id, ...others] = columns;
  assert.ok(id);
  const keyed = { ...mirror, columns: [{ ...id, name }, ...others], columnNames: new Set([name, ...others.map((one) => one.name)]) };
  const source = { connector: 'c', name: 'n', db: 'd', schema: 'public', table: 't', lsn: 1 };
  const value = Buffer.from(stringifyLossless({ before: { note: 'x' }, after: null, source, op: 'd' }));
  try {
    const change = changeReader(
      eventDecoder(undefined),
      keyed,
      () => undefined,
    )({ offset: 0n, key: null, value, timestamp: 0, headers: {} }, { topic: 't', partition: 0, offset: '0' });
    return change;
  } catch (error) {
    return String(error).replaceAll(name, 'that column');
  }
}

test('a key that a delete leaves out is missing, also where its column is called as every object has members', () => {
  for (const name of ['constructor', 'toString', '__proto__']) assert.deepEqual(outcome(name), outcome('number'));
});

test('columns that were dropped have their room too', () => {
  const reader = changeReader(eventDecoder(undefined), { ...mirror, columnsSpent: 1598 }, () => undefined);
  const source = { connector: 'c', name: 'n', db: 'd', schema: 'public', table: 't', lsn: 1 };
  const readOne = (after: Row): Change => {
    const value = Buffer.from(stringifyLossless({ before: null, after, source, op: 'u' }));
    return reader({ offset: 0n, key: null, value, timestamp: 0, headers: {} }, { topic: 't', partition: 0, offset: '0' });
  };
  assert.throws(() => readOne(wide(1, 3)), { code: 'READ_MODEL_COLUMN_UNFIT' });
  readOne(wide(1, 2));
});

test('an unchanged TOAST column keeps what is stored', () => {
  const { changes } = read([{ id: 1, name: 'a', note: unavailableValue }]);
  assert.deepEqual(changes.map(cellsOf), [['1', true, '1', 'a', undefined]]);
});

test("junk in place of a value is the event's fault, not that of the mirror's column: it is parked whatever onSchemaChange says", () => {
  const [first] = columns;
  assert.ok(first);
  const reader = changeReader(
    eventDecoder(undefined),
    { ...mirror, columns: [first, { ...first, name: 'tags', toParameter: toParameter({ name: '_text', element: 'text', modifier: -1 }) }] },
    () => undefined,
  );
  const source = { connector: 'c', name: 'n', db: 'd', schema: 'public', table: 't', lsn: 1 };
  const value = Buffer.from(stringifyLossless({ before: null, after: { id: 1, tags: ['[Ljava.lang.String;@1b5491c3'] }, source, op: 'u' }));
  assert.throws(() => reader({ offset: 0n, key: null, value, timestamp: 0, headers: {} }, { topic: 't', partition: 0, offset: '0' }), {
    code: 'READ_MODEL_EVENT_INAPPLICABLE',
    message: /column tags: \[Ljava\.lang\.String;@1b5491c3 is what Debezium writes/,
  });
});

test('a mirror that keeps a history says the same of each event as one that does not, and reads it once', () => {
  const source = { connector: 'c', name: 'n', db: 'd', schema: 'public', table: 't', lsn: 2n ** 60n, txId: 7, ts_us: 5 };
  const row = { id: 2n ** 60n, name: 'a', note: 'x', '1': 1.5 };
  const events: readonly (Row | null)[] = [
    { before: null, after: row, source, op: 'c' },
    { before: row, after: { ...row, note: unavailableValue }, source, op: 'u' },
    { before: { id: row.id }, after: null, source, op: 'd' },
    null,
    { before: null, after: null, source, op: 't' },
  ];
  const decoder = eventDecoder(undefined);
  const calls = { row: 0, whole: 0 };
  const counting: EventDecoder = {
    ...decoder,
    decodeRowChange: (value, place) => {
      calls.row += 1;
      return decoder.decodeRowChange(value, place);
    },
    decodeChangeEvent: (value, place) => {
      calls.whole += 1;
      return decoder.decodeChangeEvent(value, place);
    },
  };
  const changesOf = (of: Mirror): readonly unknown[] => {
    const reader = changeReader(counting, of, () => undefined);
    return events.map((event, index) => {
      const value = event === null ? null : Buffer.from(stringifyLossless(event));
      const message = { offset: BigInt(index), key: Buffer.from(stringifyLossless({ id: row.id })), value, timestamp: 0, headers: {} };
      return Object.entries(reader(message, { topic: 't', partition: 0, offset: String(index) }))
        .filter(([name]) => !['origin', 'before'].includes(name))
        .filter(([name], _, all) => name !== 'lsn' || !all.some(([, kind]) => kind === 'delete'));
    });
  };
  const plain = changesOf(mirror);
  assert.deepEqual(calls, { row: 5, whole: 0 });
  assert.deepEqual(changesOf({ ...mirror, history: true }), plain);
  assert.deepEqual(changesOf({ ...mirror, deletes: 'mark' }), plain);
  assert.deepEqual(calls, { row: 5, whole: 10 });
});
