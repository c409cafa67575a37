import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDecoder } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { messageReader } from '#sdk/changes/message-reader.ts';
import { readOutboxEvent } from '#sdk/changes/outbox-event.ts';
import { readSettings } from '#sdk/settings.ts';
import type { ConsumeOptions, OutboxEvent } from '#sdk/index.ts';

const decoder = eventDecoder(undefined);
const place = { topic: 'outbox.event.order', partition: 2 };

function message(value: string | null, more: Partial<ConsumedMessage> = {}): ConsumedMessage {
  const bytes = value === null ? null : Buffer.from(value);
  return {
    offset: 7n,
    key: Buffer.from('42'),
    value: bytes,
    timestamp: 1_700_000_000_123,
    headers: { id: 'a', eventType: 'Placed' },
    ...more,
  };
}

const payloadOf = (value: string | null): unknown => readOutboxEvent(decoder, place, message(value)).payload;
const keyOf = (key: string | null): string | null =>
  readOutboxEvent(decoder, place, message('{}', { key: key === null ? null : Buffer.from(key) })).key;
const typeOf = (headers: Record<string, string>): string | null => readOutboxEvent(decoder, place, message('{}', { headers })).type;
const options = (topics: unknown): Parameters<typeof readSettings>[0] =>
  JSON.parse(JSON.stringify({ group: 'g', kafka: { brokers: 'k:1' }, topics }));

test('a message of the router is an event with its id, type, key, payload and place', () => {
  assert.deepEqual(readOutboxEvent(decoder, place, message('{"total":9007199254740993,"lines":[1.5]}')), {
    op: 'event',
    ...place,
    offset: 7n,
    position: 'outbox.event.order:2=8',
    at: '2023-11-14T22:13:20.123Z',
    id: 'a',
    type: 'Placed',
    key: '42',
    payload: { total: 9007199254740993n, lines: [1.5] },
    headers: { id: 'a', eventType: 'Placed' },
  });
});

test('what a JSON converter has put in quotes is read through; a payload that is text stays text', () => {
  assert.deepEqual(payloadOf(JSON.stringify('{"a":[1]}')), { a: [1] });
  assert.deepEqual(payloadOf(JSON.stringify('[1]')), [1]);
  assert.equal(payloadOf('"plain"'), 'plain');
  assert.equal(payloadOf('"17"'), '17');
  assert.equal(payloadOf('"{no json"'), '{no json');
  assert.equal(payloadOf(null), null);
  assert.equal(payloadOf(''), null);
  assert.deepEqual(['"a b"', 'a b', '17', '{"id":1}', null].map(keyOf), ['a b', 'a b', '17', '{"id":1}', null]);
});

test('the type is the header eventType, else type, else null', () => {
  assert.equal(typeOf({ id: 'a', type: 'T', eventType: 'E' }), 'E');
  assert.equal(typeOf({ id: 'a', type: 'T' }), 'T');
  assert.equal(typeOf({ id: 'a' }), null);
});

test('what is no message of the router, or no JSON, is named with its place', () => {
  const where = /topic outbox\.event\.order, partition 2, offset 7/;
  assert.throws(() => readOutboxEvent(decoder, place, message('{}', { headers: {} })), { code: 'EVENT_UNDECODABLE', message: where });
  assert.throws(() => readOutboxEvent(decoder, place, message('{')), { code: 'EVENT_UNDECODABLE', message: where });
});

test('each topic is read as what it was said to be', () => {
  const topics = [
    { topic: place.topic, value: 'outbox' },
    { topic: 'log.public.orders', value: 'change' },
  ] as const;
  const read = messageReader(decoder, topics);
  assert.equal(read(place, message('{}')).op, 'event');
  assert.throws(() => read({ topic: 'log.public.orders', partition: 0 }, message('{}')), { code: 'EVENT_UNDECODABLE' });
});

test('an option of topics is a name, or an outbox with its topic', () => {
  const outbox = { topic: 'outbox.event.order', value: 'outbox' };
  assert.deepEqual(readSettings(options({ a: 'log.public.a', b: outbox })).topics, {
    a: { topic: 'log.public.a', value: 'change' },
    b: outbox,
  });
  for (const bad of ['', 'a b', { topic: 'a' }, { topic: 'a', value: 'plain' }, { ...outbox, values: 1 }])
    assert.throws(() => readSettings(options({ b: bad })), { code: 'CONSUMER_INVALID', message: /topics\.b: / });
  assert.throws(() => readSettings(options({ a: outbox.topic, b: outbox })), { code: 'CONSUMER_INVALID', message: /named twice/ });
});

test('the compiler wants an outbox for events, and a name for changes', () => {
  type Topics = ConsumeOptions<{ readonly a: OutboxEvent<'A', { readonly n: number }> | OutboxEvent<'B', null> }>['topics'];
  const right: Topics = { a: { topic: 't', value: 'outbox' } };
  // @ts-expect-error a topic of events is read otherwise than a table's
  const wrong: Topics = { a: 't' };
  assert.notDeepEqual(right, wrong);
});
