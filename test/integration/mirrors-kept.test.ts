import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unavailableValue } from '#change-events/index.ts';
import type { WantedMirror } from '#read-model/index.ts';
import { commitBatches } from '#read-model/apply/commit-batches.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import { eventValue } from '#test/support/order-events.ts';

/** FC_SEED repeats a run. */
const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);

const mirrorOf = (table: string, kept: Pick<WantedMirror, 'deletes' | 'history'>): WantedMirror => ({
  source: { schema: 'public', table },
  table,
  columns: [
    { name: 'id', type: 'bigint' },
    { name: 'note', type: 'text' },
    { name: 'large', type: 'text' },
  ],
  key: ['id'],
  follows: true,
  ...kept,
});

const tables = ['plain', 'marked', 'kept'] as const;
const mirrors = [
  mirrorOf('plain', { deletes: 'remove', history: false }),
  mirrorOf('marked', { deletes: 'mark', history: false }),
  mirrorOf('kept', { deletes: 'mark', history: true }),
];

type Event = { readonly op: 'c' | 'u' | 'd'; readonly id: number; readonly note: number; readonly leaves: boolean };

const events: fc.Arbitrary<readonly Event[]> = fc.array(
  fc.record({
    op: fc.constantFrom('c' as const, 'u' as const, 'd' as const),
    id: fc.integer({ min: 1, max: 40 }),
    note: fc.nat(99),
    leaves: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
);

/** What happened at a source that has the rows of `alive`: only that may be said of it. */
function possible(drawn: readonly Event[], alive: Set<number>): readonly Event[] {
  return drawn.map((event) => {
    const op = event.op === 'd' && !alive.has(event.id) ? 'c' : event.op === 'd' ? 'd' : alive.has(event.id) ? 'u' : 'c';
    if (op === 'd') alive.delete(event.id);
    else alive.add(event.id);
    return { ...event, op };
  });
}

async function apply(direct: DirectModel, offset: number, reported: readonly Event[]): Promise<void> {
  const batches = tables.map((table) =>
    direct.batch(
      table,
      offset,
      reported.map(({ op, id, note, leaves }) => {
        const row = { id, note: String(note), large: op === 'u' && leaves ? unavailableValue : `large ${note}` };
        return {
          key: `{"id":${id}}`,
          value: eventValue({ table, op, before: op === 'd' ? { id, note: 'before' } : null, after: op === 'd' ? null : row }),
        };
      }),
    ),
  );
  await commitBatches(direct.pool, direct.model, batches);
}

test(`of any history of events: rows that are not marked are the rows, and each event is kept once (seed ${seed})`, async () => {
  await using direct = await createDirectModel({ mirrors });
  for (const table of tables) await direct.place(table);
  const alive = new Set<number>();
  let offset = 0;
  const all: Event[] = [];
  for (const drawn of fc.sample(events, { seed, numRuns: 25 })) {
    const reported = possible(drawn, alive);
    await apply(direct, offset, reported);
    offset += reported.length;
    all.push(...reported);
    const live = (table: string): Promise<unknown> =>
      direct.read.query(`SELECT id, note, large FROM model.${table}${table === 'plain' ? '' : ' WHERE _deleted_at IS NULL'} ORDER BY id`);
    const rows = await live('plain');
    assert.deepEqual(await live('marked'), rows);
    assert.deepEqual(await live('kept'), rows);
  }
  const last = new Map<string, string>();
  for (const { op, id, note } of all) if (op !== 'd') last.set(String(id), String(note));
  assert.deepEqual(
    await direct.read.query('SELECT id, note FROM model.marked ORDER BY id'),
    [...last].map(([id, note]) => ({ id, note })).toSorted((one, other) => Number(one.id) - Number(other.id)),
    'a deleted row stays as it was, also one that came and went in one batch',
  );
  assert.deepEqual(
    await direct.read.query('SELECT _op, id, note, _unchanged::text AS left_out FROM model.kept_history ORDER BY _partition, _offset'),
    all.map(({ op, id, note, leaves }) => ({
      _op: op,
      id: String(id),
      note: op === 'd' ? 'before' : String(note),
      left_out: op === 'u' && leaves ? '{large}' : null,
    })),
  );
});

const source = (more: object): string =>
  JSON.stringify({
    before: null,
    after: { id: 1, note: 'x', large: 'y' },
    source: { connector: 'postgresql', name: 'n', db: 'd', schema: 'public', table: 'kept', txId: 42, lsn: 7, ...more },
    op: 'c',
  });

test('when and by which transaction: as the event says, in microseconds where it has them', async () => {
  await using direct = await createDirectModel({ mirrors });
  await direct.place('kept');
  const key = '{"id":1}';
  const messages = [
    { key, value: source({ ts_us: 1_767_225_600_123_456, ts_ms: 1 }) },
    { key, value: source({ ts_ms: 1_767_225_600_123 }) },
    { key, value: source({ ts_ms: 2 ** 53 - 1, ts_us: 'junk' }) },
    { key, value: JSON.stringify({ before: { id: 1 }, after: null, source: { connector: 'postgresql', name: 'n', db: 'd', schema: 'public', table: 'kept', ts_us: 1_767_225_601_000_001 }, op: 'd' }) },
    { key, value: null },
  ]; // prettier-ignore
  await commitBatches(direct.pool, direct.model, [direct.batch('kept', 0, messages)]);
  assert.deepEqual(
    await direct.read.query("SELECT (_at AT TIME ZONE 'UTC')::text AS at, _tx, _lsn, _op FROM model.kept_history ORDER BY _offset"),
    [
      { at: '2026-01-01 00:00:00.123456', _tx: '42', _lsn: '7', _op: 'c' },
      { at: '2026-01-01 00:00:00.123', _tx: '42', _lsn: '7', _op: 'c' },
      { at: null, _tx: '42', _lsn: '7', _op: 'c' },
      { at: '2026-01-01 00:00:01.000001', _tx: null, _lsn: null, _op: 'd' },
    ],
  );
  assert.deepEqual(await direct.read.query("SELECT (_deleted_at AT TIME ZONE 'UTC')::text AS at FROM model.kept"), [
    { at: '2026-01-01 00:00:01.000001' },
  ]);
});

const row = (id: number): { key: string; value: string } => ({
  key: `{"id":${id}}`,
  value: eventValue({ table: 'kept', op: 'c', after: { id, note: 'x', large: 'y' } }),
});

test('a truncate marks the rows that are older, and is in the history', async () => {
  await using direct = await createDirectModel({ mirrors });
  await direct.place('kept');
  await commitBatches(direct.pool, direct.model, [
    direct.batch('kept', 0, [row(1), row(2), { key: null, value: eventValue({ table: 'kept', op: 't' }) }, row(3)]),
  ]);
  assert.deepEqual(await direct.read.query('SELECT id FROM model.kept WHERE _deleted_at IS NULL'), [{ id: '3' }]);
  assert.deepEqual(
    (await direct.read.query('SELECT _op FROM model.kept_history ORDER BY _offset')).map(({ _op }) => _op),
    ['c', 'c', 't', 'c'],
  );
});

/** The event of a source whose log is at `second` then, in both its position and its clock. */
const reported = (second: number, op: 'c' | 'u' | 'd' | 't', id: number, note = 'x', large = 'y'): { key: string | null; value: string } => ({
  key: op === 't' ? null : `{"id":${id}}`,
  value: eventValue({ table: 'kept', op, before: op === 'd' ? { id } : null, after: op === 'd' || op === 't' ? null : { id, note, large }, lsn: second })
    .replace('"txId":1', `"txId":1,"ts_us":${1_767_225_600_000_000 + second * 1_000_000}`),
}); // prettier-ignore

const kept = (direct: DirectModel): Promise<unknown> =>
  direct.read.query(`SELECT id, note, large, extract(epoch FROM _deleted_at)::bigint - 1767225600 AS gone FROM model.kept ORDER BY id`);

type Part = { readonly partition: number; readonly from: number; readonly to: number };
const whole = (partition: number): Part => ({ partition, from: 0, to: 6 });
const each = (partition: number): readonly (readonly Part[])[] => [0, 1, 2, 3, 4, 5].map((from) => [{ partition, from, to: from + 1 }]);

test('a truncate marks what the mirror holds as of the source’s time, and what comes of before it later: in whatever batches and order', async () => {
  const [first, second] = [
    [reported(1, 'c', 1), reported(2, 'u', 1, 'z', unavailableValue), reported(3, 'c', 2), reported(4, 'd', 2), reported(10, 't', 0), reported(11, 'c', 3)],
    [reported(5, 'c', 4), reported(6, 'u', 4, 'z', unavailableValue), reported(7, 'c', 5), reported(8, 'd', 5), reported(12, 'c', 6)],
  ];
  const rows = [
    { id: '1', note: 'z', large: 'y', gone: '10' },
    { id: '2', note: 'x', large: 'y', gone: '4' },
    { id: '3', note: 'x', large: 'y', gone: null },
    { id: '4', note: 'z', large: 'y', gone: '10' },
    { id: '5', note: 'x', large: 'y', gone: '8' },
    { id: '6', note: 'x', large: 'y', gone: null },
  ];
  const history = ['1 c 1', '2 u 1', '3 c 2', '4 d 2', '5 c 4', '6 u 4', '7 c 5', '8 d 5', '10 t ', '11 c 3', '12 c 6'];
  const orders: readonly (readonly (readonly Part[])[])[] = [
    [[whole(0), whole(1)]],
    [[whole(0)], [whole(1)]],
    [[whole(1)], [whole(0)]],
    [...each(0), ...each(1)],
    [...each(1), ...each(0)],
  ];
  for (const order of orders) {
    await using direct = await createDirectModel({ mirrors });
    for (const partition of [0, 1]) await direct.place('kept', partition);
    for (const parts of order)
      await commitBatches(
        direct.pool,
        direct.model,
        parts.flatMap(({ partition, from, to }) => {
          const messages = ((partition === 0 ? first : second) ?? []).slice(from, to);
          return messages.length === 0 ? [] : [direct.batch('kept', from, messages, { partition })];
        }),
      );
    assert.deepEqual(await kept(direct), rows, JSON.stringify(order));
    assert.deepEqual(
      (await direct.read.query("SELECT concat_ws(' ', _lsn, _op, coalesce(id::text, '')) AS event FROM model.kept_history ORDER BY _lsn")).map(({ event }) => event),
      history,
    );
  }
}); // prettier-ignore
