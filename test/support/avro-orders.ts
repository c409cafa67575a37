import { frameOf, queryConnector } from '#change-events/index.ts';
import type { OutgoingMessage } from '#kafka/index.ts';
import { avroEnvelope, avroField, encodeAvro } from './avro-events.ts';
import { nextLsn, order } from './order-events.ts';
import { testRegistry } from './registry.ts';

/** Writes events of `orders` in Avro, as Debezium's connector would, with schemas of their own. */
export type AvroOrders = {
  readonly ids: { readonly key: number; readonly value: number };
  upsert(id: number, status: string, op?: 'c' | 'u'): OutgoingMessage;
  remove(id: number): readonly OutgoingMessage[];
};

const columns = [
  { name: 'id', type: 'long' },
  { name: 'customer_id', type: 'long' },
  { name: 'status', type: 'string' },
  avroField('note', 'string'),
  { name: 'placed_at', type: 'string' },
  { name: 'updated_at', type: 'string' },
];

function row(id: number, status: string): unknown {
  return { ...order(id, 1, status), id: BigInt(id), customer_id: 1n };
}

/** @param unlike makes schemas, and so ids, that nobody else has; `ids` writes these in their place */
export async function avroOrders(unlike: string, ids?: { readonly key: number; readonly value: number }): Promise<AvroOrders> {
  const [key, value] = schemasOfOrders(unlike);
  const registry = await testRegistry();
  const register = (name: string, schema: object): Promise<number> =>
    registry.register(`${unlike}-${name}`, { schemaType: 'AVRO', schema: JSON.stringify(schema) });
  const used = ids ?? { key: await register('key', key), value: await register('value', value) };
  const [toKey, toValue] = [encodeAvro(key), encodeAvro(value)];
  const keyOf = (id: number): Buffer => Buffer.concat([frameOf(used.key), toKey({ id: BigInt(id) })]);
  const message = (id: number, op: string, before: unknown, after: unknown): OutgoingMessage => ({
    key: keyOf(id),
    partitionKey: `{"id":${id}}`,
    value: Buffer.concat([
      frameOf(used.value),
      toValue({
        before,
        after,
        source: {
          version: '1',
          connector: queryConnector,
          name: 'test',
          db: 'legacy',
          schema: 'public',
          table: 'orders',
          ts_ms: 1n,
          txId: 1n,
          lsn: BigInt(nextLsn()),
        },
        transaction: null,
        op,
        ts_ms: 1n,
        ts_ns: null,
      }),
    ]),
  });
  return {
    ids: used,
    upsert: (id, status, op = 'c') => message(id, op, null, row(id, status)),
    remove: (id) => [message(id, 'd', row(id, 'gone'), null), { key: keyOf(id), partitionKey: `{"id":${id}}`, value: null }],
  };
}

export function schemasOfOrders(unlike: string): readonly [key: object, value: object] {
  const key = { type: 'record', name: 'Key', namespace: unlike, fields: [{ name: 'id', type: 'long' }] };
  return [key, { ...avroEnvelope(columns), namespace: unlike }];
}
