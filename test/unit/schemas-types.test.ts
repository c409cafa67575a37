import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import avsc from 'avsc';
import { frameOf, type JsonValue } from '#change-events/index.ts';
import { decoderWith } from '#change-events/event-decoder.ts';
import { typesOfSubjects, type SubjectSchema } from '#change-events/types/generate.ts';
import { typeNames } from '#change-events/types/subject-names.ts';
import { strictCompiler, valueSource } from '#test/support/strict-compiler.ts';

const compiler = await strictCompiler();
after(() => compiler[Symbol.asyncDispose]());
const compile = (files: Readonly<Record<string, string>>): Promise<string> => compiler.compile(files);

let id = 0;
function subject(name: string, schema: object, schemaType: 'AVRO' | 'JSON' = 'AVRO'): SubjectSchema {
  id += 1;
  return { subject: name, version: 1, id, schema: { schemaType, schema: JSON.stringify(schema), references: [] } };
}

const declared = (type: string, length: string, scale: string): object => ({
  'connect.parameters': {
    '__debezium.source.column.type': type,
    '__debezium.source.column.length': length,
    '__debezium.source.column.scale': scale,
  },
});
const meant = (type: string, name: string): object => ({ type, 'connect.name': name, 'connect.version': 1 });

const row = {
  type: 'record',
  name: 'Value',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'small', type: { type: 'int', 'connect.type': 'int16' } },
    { name: 'total', type: ['null', { type: 'string', ...declared('NUMERIC', '12', '2') }], default: null },
    { name: 'exact', type: { type: 'bytes', logicalType: 'decimal', precision: 10, scale: 2 } },
    { name: 'any_scale', type: variableScale() },
    { name: 'ratio', type: 'double' },
    { name: 'paid', type: 'boolean' },
    { name: 'photo', type: ['null', 'bytes'], default: null },
    {
      name: 'status',
      type: { ...meant('string', 'io.debezium.data.Enum'), 'connect.parameters': { allowed: String.raw`new,it's,to be paid\, soon` } },
    },
    { name: 'day', type: meant('int', 'io.debezium.time.Date') },
    { name: 'at', type: ['null', meant('long', 'io.debezium.time.MicroTimestamp')], default: null },
    { name: 'at_logical', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'zoned', type: meant('string', 'io.debezium.time.ZonedTimestamp') },
    { name: 'tags', type: ['null', { type: 'array', items: ['null', 'string'] }], default: null },
    { name: 'matrix', type: { type: 'array', items: ['null', 'long', { type: 'array', items: ['null', 'long'] }] } },
    { name: 'attributes', type: { type: 'map', values: 'double' } },
    { name: 'colour', type: { type: 'enum', name: 'Colour', symbols: ['red', 'green'] } },
    { name: 'digest', type: { type: 'fixed', name: 'Digest', size: 4 } },
    {
      name: 'tree',
      type: {
        type: 'record',
        name: 'Tree',
        fields: [
          { name: 'label', type: 'string' },
          { name: 'next', type: ['null', 'Tree'] },
        ],
      },
    },
  ],
};

function variableScale(): object {
  const fields = [
    { name: 'scale', type: 'int' },
    { name: 'value', type: 'bytes' },
  ];
  return {
    type: 'record',
    name: 'VariableScaleDecimal',
    namespace: 'io.debezium.data',
    fields,
    'connect.name': 'io.debezium.data.VariableScaleDecimal',
  };
}

const envelope = {
  type: 'record',
  name: 'Envelope',
  namespace: 'log.public.orders',
  fields: [
    { name: 'before', type: ['null', row], default: null },
    { name: 'after', type: ['null', 'Value'], default: null },
    { name: 'source', type: { type: 'record', name: 'Source', fields: [{ name: 'connector', type: 'string' }] } },
    { name: 'op', type: 'string' },
  ],
};

const key = { type: 'record', name: 'Key', namespace: 'log.public.orders', fields: [{ name: 'id', type: 'long' }] };

const jsonValue = {
  title: 'items',
  definitions: {
    Value: {
      type: 'object',
      properties: {
        id: { type: 'integer', 'connect.type': 'int64' },
        count: { type: ['integer', 'null'], 'connect.type': 'int32' },
        ratio: { type: ['number', 'string'], 'connect.type': 'float64' },
        mood: { type: 'string', title: 'io.debezium.data.Enum', 'connect.parameters': { allowed: 'so so,fine' } },
        'odd-name': { type: 'string', enum: ['a', 'b'] },
        tags: { type: ['array', 'null'], items: { type: ['string', 'null'] } },
        parent: { $ref: '#/definitions/Value' },
        free: {},
      },
      required: ['id', 'ratio', 'mood', 'odd-name', 'free'],
    },
  },
  type: 'object',
  properties: {
    before: { oneOf: [{ type: 'null' }, { $ref: '#/definitions/Value' }] },
    after: { oneOf: [{ type: 'null' }, { $ref: '#/definitions/Value' }] },
    source: { type: 'object', properties: { connector: { type: 'string' } }, required: ['connector'] },
    op: { type: 'string' },
  },
  required: ['before', 'after', 'source', 'op'],
};

const subjects = [
  subject('log.public.orders-value', envelope),
  subject('log.public.orders-key', key),
  subject('query.public.items-value', jsonValue, 'JSON'),
];

test('types compile under strict and say of each value what the decoder makes of it', async () => {
  const use = `
import type { Items, ItemsEnvelope, Orders, OrdersEnvelope, OrdersKey } from './types.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
export const exact: readonly true[] = [
  true satisfies Same<Orders['id'], number | bigint>,
  true satisfies Same<Orders['ratio'], number | 'NaN' | 'Infinity' | '-Infinity'>,
  true satisfies Same<Orders['at'], string | null>,
  true satisfies Same<Orders['photo'], string | null>,
  true satisfies Same<Orders['colour'], 'red' | 'green'>,
  true satisfies Same<Orders['matrix'], readonly (number | bigint | readonly (number | bigint | null)[] | null)[]>,
  true satisfies Same<Orders['attributes'], { readonly [name: string]: Orders['ratio'] }>,
  true satisfies Same<Items['id'], number | bigint>,
  true satisfies Same<Items['ratio'], Orders['ratio']>,
  true satisfies Same<Items['mood'], 'so so' | 'fine'>,
  true satisfies Same<Items['tags'], readonly (string | null)[] | null | undefined>,
];
export const key: OrdersKey = { id: 9007199254740993n };
export function check(order: Orders, event: OrdersEnvelope, item: Items, items: ItemsEnvelope): void {
  const id: number | bigint = order.id;
  const small: number = order.small;
  const texts: readonly string[] = [order.exact, order.any_scale, order.day, order.at_logical, order.zoned, order.digest];
  const total: string | null = order.total;
  const ratio: number | 'NaN' | 'Infinity' | '-Infinity' = order.ratio;
  const tags: readonly (string | null)[] | null = order.tags;
  const next: string | undefined = order.tree.next?.next?.label;
  switch (order.status) {
    case 'new':
    case "it's":
    case 'to be paid, soon':
      break;
    default: {
      const never: never = order.status;
      void never;
    }
  }
  if (event.op === 'd' || event.after === null) return;
  const after: Orders = event.after;
  const count: number | null | undefined = item.count;
  const parent: Items | undefined = item.parent;
  const odd: 'a' | 'b' = item['odd-name'];
  const source: string = items.source.connector;
  // @ts-expect-error a long may be a bigint
  const narrow: number = order.id;
  // @ts-expect-error a column that may be null
  const filled: string = order.total;
  // @ts-expect-error no such column
  void order.nosuch;
  // @ts-expect-error what was decoded is not to be changed
  order.id = 1;
  // @ts-expect-error no such operation
  if (event.op === 'x') return;
  void [id, small, texts, total, ratio, tags, next, after, count, parent, odd, source, narrow, filled];
}
`;
  assert.equal(await compile({ 'types.ts': typesOfSubjects(subjects), 'use.ts': use }), '');
});

test('whatever a schema writes, what the decoder gives is of its type', async () => {
  const [orders] = subjects;
  assert.ok(orders);
  const type = avsc.Type.forSchema(JSON.parse(orders.schema.schema), { wrapUnions: true });
  const decoder = decoderWith({ url: 'none', schemaOf: async () => orders.schema });
  const values: string[] = [];
  for (let count = 0; count < 40; count += 1) {
    const bytes = Buffer.concat([frameOf(1), type.toBuffer(type.random())]);
    await decoder.prepare([{ key: null, value: bytes }], AbortSignal.timeout(1000));
    const value = decoder.decodeValue(bytes, { topic: 't', partition: 0, offset: '0' });
    // What no schema of Avro says: the letters of an operation, and the labels of a database's enum.
    values.push(valueSource(withKnownLabels(value)));
  }
  const use = `import type { OrdersEnvelope } from './types.ts';\nexport const events: readonly OrdersEnvelope[] = [${values.join(',\n')}];\n`;
  assert.equal(await compile({ 'types.ts': typesOfSubjects(subjects), 'use.ts': use }), '');
});

function withKnownLabels(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null || isList(value)) return value;
  const entries = Object.entries(value).map(([name, member]): [string, JsonValue] => {
    if (name === 'op') return [name, 'u'];
    return [name, name === 'status' ? 'new' : withKnownLabels(member)];
  });
  return Object.fromEntries(entries);
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

test('the order of the subjects does not matter', () => {
  assert.equal(typesOfSubjects(subjects.toReversed()), typesOfSubjects(subjects));
});

test('a type is named after its table, and by more of its topic only where two would be the same', () => {
  const names = typeNames([
    'log.public.order_items-value',
    'log.public.order_items-key',
    'log.public.orders-value',
    'query.public.orders-value',
    'own',
  ]);
  assert.deepEqual(Object.fromEntries(names), {
    'log.public.order_items-value': 'OrderItems',
    'log.public.order_items-key': 'OrderItemsKey',
    'log.public.orders-value': 'LogPublicOrders',
    'query.public.orders-value': 'QueryPublicOrders',
    own: 'Own',
  });
});

test('no name of a registry breaks out of the file', async () => {
  const odd = { type: 'object', properties: { "it's */ {": { type: 'string', title: 'ends */ here', enum: ["'", '\\', '\n', '\u2028'] } } };
  const text = typesOfSubjects([subject('9 */ x\n-value', odd, 'JSON')]);
  assert.equal(await compile({ 'odd.ts': text }), '');
});

test('a schema that is not read is named', () => {
  const protobuf = { ...subject('p-value', {}), schema: { schemaType: 'PROTOBUF' as const, schema: '', references: [] } };
  assert.throws(() => typesOfSubjects([protobuf]), { code: 'SCHEMA_INVALID', message: /p-value.*PROTOBUF/ });
  assert.throws(() => typesOfSubjects([subject('broken-value', { type: 'nosuch' })]), { code: 'SCHEMA_INVALID', message: /broken-value/ });
});
