import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decoderWith } from '#change-events/event-decoder.ts';
import { fitsTopic, tableSchemaName } from '#change-events/framed/schema-name.ts';
import { frameOf } from '#change-events/index.ts';

const fits = (name: string | null, topic: string, part: 'key' | 'value' = 'value'): boolean =>
  fitsTopic(tableSchemaName(name), topic, part);

test('a schema fits the topic of its table, however its writer spelled the name', () => {
  const same = [
    ['log.public.orders.Envelope', 'log.public.orders'],
    ['log.public.orders.Value', 'log.public.orders'],
    ['elsewhere.public.orders.Envelope', 'log.public.orders'],
    ['log_a.public.x_y.Envelope', 'log-a.public.x-y'],
    ['log.public._2024.Envelope', 'log.public.2024'],
    ['log.public.2024.Envelope', 'log.public.2024'],
    ['log.public.x_u0020y.Envelope', 'log.public.x_y'],
    // Nothing can be said of these.
    ['io.confluent.connect.avro.ConnectDefault', 'log.public.orders'],
    ['Envelope', 'log.public.orders'],
    [null, 'log.public.orders'],
  ] as const;
  for (const [name, topic] of same) assert.ok(fits(name, topic), `${name} ${topic}`);
  assert.ok(fits('log.public.orders.Key', 'log.public.orders', 'key'));
});

test('a schema of another table, or of the other part of a message, fits no topic', () => {
  const others = [
    ['log.public.products.Envelope', 'log.public.orders'],
    ['log.other.orders.Envelope', 'log.public.orders'],
    ['log.public.orders_2.Envelope', 'log.public.orders'],
    ['log.public.orders.Key', 'log.public.orders'],
  ] as const;
  for (const [name, topic] of others) assert.ok(!fits(name, topic), `${name} ${topic}`);
  assert.ok(!fits('log.public.orders.Envelope', 'log.public.orders', 'key'));
});

const place = { topic: 'log.public.orders', partition: 0, offset: '7' };
const event = JSON.stringify({
  before: null,
  after: { id: 1 },
  source: { connector: 'c', name: 'n', db: 'd', schema: 'public', table: 'orders', lsn: 5 },
  op: 'c',
});

test('a registry that was made again gives another table for an id: its events are undecodable by name, though their bytes fit', async () => {
  const names = ['log.public.products', 'log.public.orders'];
  const decoder = decoderWith({
    url: 'http://registry',
    schemaOf: async (id) =>
      id < 3
        ? { schemaType: 'JSON', schema: JSON.stringify({ title: `${names[id - 1]}.Envelope` }), references: [] }
        : {
            schemaType: 'AVRO',
            schema: JSON.stringify({ type: 'record', name: 'Key', namespace: names[id - 3], fields: [{ name: 'id', type: 'int' }] }),
            references: [],
          },
  });
  const [stranger, own] = [1, 2].map((id) => Buffer.concat([frameOf(id), Buffer.from(event)]));
  const [strangerKey, ownKey] = [3, 4].map((id) => Buffer.concat([frameOf(id), Buffer.from([2])]));
  assert.ok(stranger && own && strangerKey && ownKey);
  await decoder.prepare([
    { key: strangerKey, value: stranger },
    { key: ownKey, value: own },
  ]);
  for (let round = 0; round < 2; round += 1) {
    assert.equal(decoder.decodeRowChange(own, place)?.op, 'c');
    assert.deepEqual(decoder.decodeKey(ownKey, place), { id: 1 });
    assert.throws(() => decoder.decodeRowChange(stranger, place), {
      code: 'EVENT_UNDECODABLE',
      message:
        /log\.public\.products\.Envelope .* not that of the topic's table at topic log\.public\.orders, partition 0, offset 7, schema id 1/,
    });
    assert.throws(() => decoder.decodeChangeEvent(stranger, place), { code: 'EVENT_UNDECODABLE' });
    assert.throws(() => decoder.decodeKey(strangerKey, place), { code: 'EVENT_UNDECODABLE' });
  }
  assert.equal(decoder.decodeRowChange(stranger, { ...place, topic: 'log.public.products' })?.op, 'c');
});
