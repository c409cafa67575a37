import avsc from 'avsc';
import { decoderWith } from '#change-events/event-decoder.ts';
import { frameOf, type EventDecoder } from '#change-events/index.ts';

/** Avro's longs as bigints: avsc's own would lose digits. */
// oxlint-disable-next-line no-underscore-dangle -- avsc calls it so
const long = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => Number(a - b),
});

/** What avsc, and Confluent's serializers, are given so that they take longs as bigints, also where a name is said beside the type. */
export const longsAsBigints: Partial<avsc.ForSchemaOptions> = {
  typeHook: (schema: unknown) => (schema === 'long' || isLong(schema) ? long : undefined),
};

/** Writes values by a schema with avsc, a program that is none of ours. Logical types are not converted. */
export function encodeAvro(schema: unknown): (value: unknown) => Buffer {
  const type = avsc.Type.forSchema(JSON.parse(JSON.stringify(schema)), { ...longsAsBigints, wrapUnions: false });
  return (value) => type.toBuffer(value);
}

function isLong(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'long' && !('name' in value);
}

/** A nullable column, as Debezium's connector registers it. */
export function avroField(name: string, type: unknown): object {
  return { name, type: ['null', type], default: null };
}

/** The schema of Debezium's envelope around a row of these fields. */
export function avroEnvelope(fields: readonly object[]): object {
  return {
    type: 'record',
    name: 'Envelope',
    namespace: 'log.public.t',
    'connect.name': 'log.public.t.Envelope',
    fields: [
      { name: 'before', type: ['null', { type: 'record', name: 'Value', fields }], default: null },
      { name: 'after', type: ['null', 'Value'], default: null },
      {
        name: 'source',
        type: {
          type: 'record',
          name: 'Source',
          namespace: 'io.debezium.connector.postgresql',
          fields: [
            ...['version', 'connector', 'name', 'db', 'schema', 'table'].map((name) => ({ name, type: 'string' })),
            { name: 'ts_ms', type: 'long' },
            avroField('txId', 'long'),
            avroField('lsn', 'long'),
          ],
        },
      },
      {
        name: 'transaction',
        type: [
          'null',
          {
            type: 'record',
            name: 'block',
            namespace: 'event',
            fields: [
              { name: 'id', type: 'string' },
              { name: 'total_order', type: 'long' },
              { name: 'data_collection_order', type: 'long' },
            ],
          },
        ],
        default: null,
      },
      { name: 'op', type: 'string' },
      avroField('ts_ms', 'long'),
      avroField('ts_ns', 'long'),
    ],
  };
}

/** A message of these bytes, written by schema 7. */
export function framed(...payload: readonly number[]): Buffer {
  return Buffer.concat([frameOf(7), Buffer.from(payload)]);
}

/** A decoder that knows one schema, under id 7. */
export async function avroDecoder(schema: object | string, references: readonly object[] = []): Promise<EventDecoder> {
  const decoder = decoderWith({
    url: 'http://registry',
    schemaOf: async (id) =>
      id === 7
        ? {
            schemaType: 'AVRO',
            schema: typeof schema === 'string' ? schema : JSON.stringify(schema),
            references: references.map((one) => ({ name: '', schema: JSON.stringify(one) })),
          }
        : null,
  });
  await decoder.prepare([{ key: null, value: frameOf(7) }]);
  return decoder;
}
