import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createHeartbeat } from '#cdc-poller/table/heartbeat.ts';
import { decodeChangeEvent, heartbeatOf, heartbeatTopic, type ChangeEvent, type Heartbeat } from '#change-events/index.ts';
import { Heartbeats } from '#read-model/freshness/heartbeats.ts';

const place = { topic: 't', partition: 0, offset: '0' };

function beat(op: ChangeEvent['op'], after: unknown): Heartbeat | null {
  const source = { connector: 'c', name: 'n', db: 'd', schema: 'cdc', table: 'heartbeat' };
  const event = decodeChangeEvent(Buffer.from(JSON.stringify({ before: null, after, source, op, ts_ms: 0 })), place);
  assert.ok(event);
  return heartbeatOf(event);
}

test('what a poller writes is read as its table’s heartbeat, rounded down', () => {
  const heartbeat = createHeartbeat({ database: 'd', table: { schema: 'public', table: 'orders' }, prefix: 'query' }, 1000);
  assert.equal(heartbeat.topic, heartbeatTopic('query'));
  const { key, value } = heartbeat.message(1_795_409_484_978_999n);
  assert.equal(key, '{"id":"public.orders"}');
  const event = decodeChangeEvent(Buffer.from(String(value)), place);
  assert.ok(event);
  assert.deepEqual(heartbeatOf(event), { table: 'public.orders', provenTo: 1_795_409_484_978 });
});

test('the log’s heartbeat speaks of every table; what a snapshot read, or what has no time, proves nothing', () => {
  const row = { id: 1, beat_at: '2026-11-23T05:11:24.978123Z' };
  assert.deepEqual(beat('u', row), { table: null, provenTo: Date.UTC(2026, 10, 23, 5, 11, 24, 978) });
  assert.equal(beat('r', row), null);
  assert.equal(beat('d', null), null);
  assert.equal(beat('u', { id: 1, beat_at: null }), null);
  for (const beatAt of ['soon', '1', '2026', '2026-11-23T05:11:24', '2026-11-23 05:11:24Z', 1_795_409_484_978]) {
    assert.equal(beat('u', { id: 1, beat_at: beatAt }), null, String(beatAt));
  }
});

test('what names neither a table nor the log’s one row speaks of nothing, least of all of everything', () => {
  const at = '2026-11-23T05:11:24.978123Z';
  for (const id of ['nonsense', '', '1', null, {}, [1], true]) assert.equal(beat('u', { id, beat_at: at }), null, JSON.stringify(id));
  assert.equal(beat('u', { id: 'public.orders', beat_at: at })?.table, 'public.orders');
});

test('a model is no fresher than the table that capture has proven least of, and unknown while nothing is proven of one', () => {
  const tables = ['public.a', 'public.b', 'public.c'];
  const reported = fc.array(fc.record({ table: fc.constantFrom(...tables, 'public.other'), provenTo: fc.nat(1000) }), { maxLength: 20 });
  fc.assert(
    fc.property(reported, (beats) => {
      const heartbeats = new Heartbeats({ tables: [...tables, 'public.other'] });
      for (const each of beats) heartbeats.note(each, { stampedAt: -1, readAt: Number.MAX_SAFE_INTEGER });
      const latest = tables.map((table) => beats.filter((each) => each.table === table).map(({ provenTo }) => provenTo));
      const expected = latest.some((times) => times.length === 0) ? null : Math.min(...latest.map((times) => Math.max(...times)));
      assert.equal(heartbeats.provenTo(tables), expected);
    }),
  );
});

test('a heartbeat of the whole log needs no table’s, and one that is a little older takes nothing back', () => {
  const heartbeats = new Heartbeats({ tables: ['public.a'] });
  assert.equal(heartbeats.provenTo([]), null);
  heartbeats.note({ table: null, provenTo: 7 }, { stampedAt: -1, readAt: 9 });
  heartbeats.note({ table: null, provenTo: 5 }, { stampedAt: -1, readAt: 9 });
  assert.equal(heartbeats.provenTo(['public.a']), 7);
});
