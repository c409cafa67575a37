import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDecoder, stringifyLossless, unavailableValue, type Row } from '#change-events/index.ts';
import { changeReader, type Change } from '#read-model/change.ts';
import type { Mirror } from '#read-model/mirror.ts';
import type { ColumnDemand } from '#read-model/schema/column-demand.ts';

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
  columnsVersion: 1,
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

test('an unchanged TOAST column keeps what is stored', () => {
  const { changes } = read([{ id: 1, name: 'a', note: unavailableValue }]);
  assert.deepEqual(changes.map(cellsOf), [['1', true, '1', 'a', undefined]]);
});
