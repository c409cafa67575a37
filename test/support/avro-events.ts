import avsc from 'avsc';

/** Avro's longs as bigints: avsc's own would lose digits. */
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

/** Writes values by a schema with avsc, a program that is none of ours. Logical types are not converted. */
export function encodeAvro(schema: unknown): (value: unknown) => Buffer {
  // What is said of a long beside its type would keep avsc from taking ours.
  const plain: unknown = JSON.parse(JSON.stringify(schema), (_name, value: unknown) => (isLong(value) ? 'long' : value));
  const type = avsc.Type.forSchema(JSON.parse(JSON.stringify(plain)), { registry: { long }, wrapUnions: false });
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
  const nullable = (name: string, type: string): object => avroField(name, type);
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
            nullable('txId', 'long'),
            nullable('lsn', 'long'),
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
      nullable('ts_ms', 'long'),
      nullable('ts_ns', 'long'),
    ],
  };
}
