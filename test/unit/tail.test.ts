import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { eventDecoder, stringifyLossless, type JsonValue } from '#change-events/index.ts';
import { CdcError, pipelineSchema } from '#pipeline/index.ts';
import { describeEvent, eventJson } from '#tail/describe.ts';
import { isOfKey } from '#tail/key-filter.ts';
import { readEvent, type TailEvent } from '#tail/read-event.ts';
import { TimeOrder } from '#tail/time-order.ts';
import { topicsOf } from '#tail/topics.ts';

const decoder = eventDecoder(undefined);
const committed = Date.UTC(2026, 10, 22, 15, 0, 0, 123);

type Given = { readonly op?: string; readonly before?: JsonValue; readonly after?: JsonValue; readonly key?: JsonValue };

/** An event of the log, `delayMs` after its commit in Kafka. */
function event({ op = 'u', before = null, after = null, key = { id: 7 } }: Given, delayMs = 120): TailEvent {
  const source = { connector: 'postgresql', name: 'log', db: 'legacy', schema: 'public', table: 'orders', ts_ms: committed };
  const value = stringifyLossless({ before, after, source, op, ts_ms: 1, transaction: null });
  return message(key === null ? null : stringifyLossless(key), value, committed + delayMs);
}

const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text));

function message(key: string | null, value: string | null, timestamp = committed): TailEvent {
  const place = { topic: 'log.public.orders', partition: 2, offset: '41' };
  return readEvent('log', place, { offset: 41n, key: bytes(key), value: bytes(value), timestamp, headers: {} }, decoder);
}

suite('an event as one line', () => {
  test('an update with the row before shows what differs, old and new, and the time from the commit to Kafka', () => {
    const row = { id: 7, status: 'new', note: 'n', total: '1.50' };
    assert.equal(
      describeEvent(event({ before: row, after: { ...row, status: 'paid', note: null } })),
      '2026-11-22T15:00:00.123Z  log    update    7  status: "new" -> "paid", note: "n" -> null  +120 ms',
    );
    assert.match(describeEvent(event({ before: row, after: row })), / 7 {2}no column differs {2}\+120 ms$/);
  });

  test('an update without the row before shows the row', () => {
    assert.match(
      describeEvent(event({ after: { id: 7, status: 'paid', big: 9007199254740993n } })),
      / 7 {2}status: "paid", big: 9007199254740993 {2}/,
    );
  });

  test('of a key alone before, the changed key is shown and the other columns of the row', () => {
    assert.match(describeEvent(event({ before: { id: 6 }, after: { id: 7, status: 'paid' } })), / {2}id: 6 -> 7, status: "paid" {2}/);
  });

  test('a value that the log leaves out as unchanged is no change, and said where nothing else shows it', () => {
    const left = '__debezium_unavailable_value';
    assert.match(describeEvent(event({ before: { id: 7, a: 1, big: left }, after: { id: 7, a: 2, big: left } })), / {2}a: 1 -> 2 {2}/);
    assert.match(describeEvent(event({ after: { id: 7, a: 2, big: left } })), / {2}a: 2, big: \(unchanged, not in the log\) {2}/);
  });

  test('inserts, deletes, snapshots, truncates and tombstones each have their word; a snapshot has no delay', () => {
    const row = { id: 7, a: 1 };
    const lines = [
      event({ op: 'c', after: row }),
      event({ op: 'd', before: row }),
      event({ op: 'd' }),
      event({ op: 'r', after: row }),
      event({ op: 't', key: null }),
      message('{"id":7}', null),
    ].map((one) => describeEvent(one).slice(26));
    assert.deepEqual(lines, [
      'log    insert    7  a: 1  +120 ms',
      'log    delete    7  a: 1  +120 ms',
      'log    delete    7  +120 ms',
      'log    snapshot  7  a: 1',
      'log    truncate  all rows  +120 ms',
      'log    tombstone  7',
    ]);
  });

  test('what a terminal would obey is written out, in keys, names and values, and long values are cut between characters', () => {
    const line = describeEvent(
      event({
        key: { id: 'a\u001b[2J\nb' },
        after: { id: 'x', '\u0007col': '\u001b]0;t\u0007', long: `${'x'.repeat(58)}😀${'y'.repeat(40)}` },
      }),
    );
    assert.doesNotMatch(line, /[\u0000-\u001f]/); // oxlint-disable-line no-control-regex
    assert.match(line, /a\\u001b\[2J\\nb/);
    assert.match(line, /x{58}… \(102 characters\)/);
  });

  test('what cannot be decoded is reported by its place and code', () => {
    const found = message('{"id":7}', '{"no":"event"}');
    assert.match(describeEvent(found), /log {4}EVENT_UNDECODABLE at log\.public\.orders\/2 offset 41: the value is not a change event/);
    assert.deepEqual(Object.keys(JSON.parse(eventJson(found))), ['strategy', 'topic', 'partition', 'offset', 'error']);
  });

  test('JSON has every digit and the whole values', () => {
    const long = 'x'.repeat(500);
    assert.equal(
      eventJson(event({ op: 'c', after: { id: 9007199254740993n, long }, key: { id: 9007199254740993n } })),
      `{"strategy":"log","topic":"log.public.orders","partition":2,"offset":"41","op":"c","key":{"id":9007199254740993},"before":null,"after":{"id":9007199254740993,"long":"${long}"},"changedAt":"2026-11-22T15:00:00.123Z","writtenAt":"2026-11-22T15:00:00.243Z","delayMs":120}`,
    );
  });
});

test('--key takes a key as it is printed, and JSON with its columns in any order', () => {
  const two = event({ op: 'c', key: { region: 'eu', id: 7 }, after: { region: 'eu', id: 7 } });
  assert.equal(two.key, '{"region":"eu","id":7}');
  for (const asked of ['{"region":"eu","id":7}', '{ "id": 7, "region": "eu" }']) assert.ok(isOfKey(two, asked), asked);
  assert.ok(!isOfKey(two, '{"id":7}'));
  const text = event({ op: 'c', key: { code: 'a 1' }, after: {} });
  assert.ok(isOfKey(text, 'a 1'));
  assert.ok(isOfKey(text, '{"code":"a 1"}'));
  assert.ok(!isOfKey(text, 'a'));
  assert.ok(isOfKey(message('{"id":7}', 'junk'), '7'), 'the key can be read, the value cannot');
  assert.ok(!isOfKey(message('junk', 'junk'), '7'));
});

const at = (...times: readonly number[]): { readonly timestamp: number }[] => times.map((timestamp) => ({ timestamp }));
const timesOf = (order: TimeOrder<{ readonly timestamp: number }>): readonly number[] =>
  [...order.take()].map(({ timestamp }) => timestamp);

suite('the order of time', () => {
  test('a partition of which more is to come holds the others back, one at its end does not', () => {
    const order = new TimeOrder<{ readonly timestamp: number }>();
    order.add('a', at(1, 4), true);
    order.add('b', [], true);
    assert.deepEqual(timesOf(order), []);
    order.add('b', at(2, 3), true);
    assert.deepEqual(timesOf(order), [1, 2, 3], 'b is empty, and may have something before 4');
    order.add('b', [], false);
    assert.deepEqual(timesOf(order), [4]);
    order.add('a', at(9), false);
    assert.deepEqual(timesOf(order), [9]);
  });

  test('a partition that is let go holds nobody back', () => {
    const order = new TimeOrder<{ readonly timestamp: number }>();
    order.add('a', at(1), false);
    order.add('b', [], true);
    order.letGo('b');
    assert.deepEqual(timesOf(order), [1]);
  });

  test('what its reader left is still there', () => {
    const order = new TimeOrder<{ readonly timestamp: number }>();
    order.add('a', at(1, 2, 3), false);
    for (const first of order.take()) {
      assert.equal(first.timestamp, 1);
      break;
    }
    assert.deepEqual(timesOf(order), [2, 3]);
  });
});

suite('which topics', () => {
  const legacyDb = { database: 'legacy', roles: { poller: { user: 'p' } } };
  const kafka = { brokers: 'localhost:9092' };
  const poller = { name: 'p', tables: [{ table: 'public.orders', topic: 'orders-v2' }, { table: 'public.*' }] };
  const connect = { connectors: [] };
  const both = pipelineSchema.parse({ legacyDb, kafka, poller, connect });
  const table = { schema: 'public', table: 'orders' };
  const names = (config: typeof both, asked: 'query' | 'log' | 'both', of = table): readonly string[] =>
    topicsOf(config, of, asked).map(({ topic }) => topic);

  test('those of the strategies that are configured, a named topic too', () => {
    assert.deepEqual(names(both, 'both'), ['orders-v2', 'log.public.orders']);
    assert.deepEqual(names(both, 'log'), ['log.public.orders']);
    assert.deepEqual(names(both, 'query', { schema: 'public', table: 'items' }), ['query.public.items']);
    assert.deepEqual(names(pipelineSchema.parse({ legacyDb, kafka, connect }), 'both'), ['log.public.orders']);
  });

  test('a strategy that is not configured is named with what to add', () => {
    assert.throws(
      () => names(pipelineSchema.parse({ legacyDb, kafka, connect }), 'query'),
      (error) =>
        error instanceof CdcError &&
        error.code === 'CONFIG_INVALID' &&
        /section poller/.test(error.message) &&
        /--strategy/.test(error.remedy),
    );
  });
});
