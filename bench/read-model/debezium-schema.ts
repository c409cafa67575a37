/**
 * What Kafka Connect must know of the events' types, since the contract's JSON does not carry schemas: its JsonConverter takes one schema
 * for all messages (`schema.content`). That is also the fastest way for the sink: nothing is parsed per message but the payload.
 */
type Field = {
  readonly type: string;
  readonly optional: boolean;
  readonly name?: string;
  readonly field?: string;
  readonly fields?: readonly Field[];
};

const field = (name: string, type: string, optional = false, semantic?: string): Field => ({
  field: name,
  type,
  optional,
  ...(semantic === undefined ? {} : { name: semantic }),
});

const zoned = 'io.debezium.time.ZonedTimestamp';

const row: readonly Field[] = [
  field('id', 'int64'),
  field('customer_id', 'int64'),
  field('status', 'string'),
  field('note', 'string', true),
  field('placed_at', 'string', false, zoned),
  field('updated_at', 'string', false, zoned),
];

const source: readonly Field[] = [
  ...['version', 'connector', 'name'].map((name) => field(name, 'string')),
  field('ts_ms', 'int64'),
  field('snapshot', 'string', true),
  field('db', 'string'),
  field('sequence', 'string', true),
  ...['ts_us', 'ts_ns'].map((name) => field(name, 'int64', true)),
  ...['schema', 'table'].map((name) => field(name, 'string')),
  ...['txId', 'lsn', 'xmin'].map((name) => field(name, 'int64', true)),
];

/** The key of the order table. */
export const keySchema = JSON.stringify({
  type: 'struct',
  optional: false,
  name: 'bench.public.orders.Key',
  fields: [field('id', 'int64')],
});

/** Debezium's envelope around a row of the order table. */
export const valueSchema = JSON.stringify({
  type: 'struct',
  optional: false,
  name: 'bench.public.orders.Envelope',
  version: 2,
  fields: [
    { type: 'struct', optional: true, name: 'bench.public.orders.Value', field: 'before', fields: row },
    { type: 'struct', optional: true, name: 'bench.public.orders.Value', field: 'after', fields: row },
    { type: 'struct', optional: false, name: 'io.debezium.connector.postgresql.Source', field: 'source', fields: source },
    {
      type: 'struct',
      optional: true,
      name: 'event.block',
      field: 'transaction',
      fields: [field('id', 'string'), field('total_order', 'int64'), field('data_collection_order', 'int64')],
    },
    field('op', 'string'),
    ...['ts_ms', 'ts_us', 'ts_ns'].map((name) => field(name, 'int64', true)),
  ],
} satisfies Field & { version: number });
