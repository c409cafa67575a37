import { stringifyLossless, type JsonValue } from '#change-events/index.ts';
import { avroNamespace } from './avro-name.ts';
import type { FieldType, PlainType, SchemaField } from './field-type.ts';

type Json = { readonly [name: string]: JsonValue };

/** The record of a topic's keys, as Debezium's connector registers it through the Avro converter. */
export function avroKeySchema(topic: string, fields: readonly SchemaField[]): string {
  const namespace = avroNamespace(topic);
  const record = { type: 'record', name: 'Key', namespace, fields: fields.map(keyField), 'connect.name': `${namespace}.Key` };
  return stringifyLossless(record);
}

/** The record of a topic's values: Debezium's envelope around the row, with what the poller's events say of their source. */
export function avroValueSchema(topic: string, fields: readonly SchemaField[]): string {
  const namespace = avroNamespace(topic);
  const row = { type: 'record', name: 'Value', fields: fields.map(rowField), 'connect.name': `${namespace}.Value` };
  return stringifyLossless({
    type: 'record',
    name: 'Envelope',
    namespace,
    fields: [
      { name: 'before', type: ['null', row], default: null },
      { name: 'after', type: ['null', 'Value'], default: null },
      { name: 'source', type: source },
      { name: 'transaction', type: ['null', transaction], default: null },
      { name: 'op', type: 'string' },
      { name: 'ts_ms', type: ['null', 'long'], default: null },
    ],
    'connect.name': `${namespace}.Envelope`,
  });
}

const optional = (name: string, type: JsonValue): Json => ({ name, type: ['null', type], default: null });

/** The members of `source` that docs/change-event.md lists. Not Debezium's record, which has more: so not its name. */
const source: Json = {
  type: 'record',
  name: 'Source',
  namespace: 'cdc_poller',
  fields: [
    { name: 'version', type: 'string' },
    { name: 'connector', type: 'string' },
    { name: 'name', type: 'string' },
    optional('ts_ms', 'long'),
    { name: 'snapshot', type: 'string' },
    { name: 'db', type: 'string' },
    { name: 'schema', type: 'string' },
    { name: 'table', type: 'string' },
    optional('txId', 'long'),
    optional('lsn', 'long'),
  ],
  'connect.name': 'cdc_poller.Source',
};

const transaction: Json = {
  type: 'record',
  name: 'block',
  namespace: 'event',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'total_order', type: 'long' },
    { name: 'data_collection_order', type: 'long' },
  ],
  'connect.version': 1,
  'connect.name': 'event.block',
};

/** A key's schema does not say how its columns were declared, as Debezium's does not: its schema, and with it its bytes, changes only when it must. A name that Avro
 * does not take is in it all the same. */
function keyField({ name, column, type, nullable }: SchemaField): Json {
  const typed = typeOf(type, name === column ? {} : { [`${parameterPrefix}name`]: column });
  return { name, type: nullable ? ['null', typed] : typed, ...(nullable ? { default: null } : {}) };
}

const parameterPrefix = '__debezium.source.column.';

/** A union's default is of its first branch: that of a nullable column is null, unless the column has one. */
function rowField(field: SchemaField): Json {
  const { name, nullable } = field;
  const value = field.default === undefined ? undefined : avroDefault(field.default, field.type);
  const type = typeOf(field.type, declaredParameters(field), value);
  if (!nullable) return { name, type, ...(value === undefined ? {} : { default: value }) };
  return value === undefined ? { name, type: ['null', type], default: null } : { name, type: [type, 'null'], default: value };
}

function declaredParameters({ column, declared }: SchemaField): Readonly<Record<string, string>> {
  if (declared === undefined) return {};
  return {
    [`${parameterPrefix}type`]: declared.type,
    ...(declared.length === undefined ? {} : { [`${parameterPrefix}length`]: declared.length }),
    ...(declared.scale === undefined ? {} : { [`${parameterPrefix}scale`]: declared.scale }),
    [`${parameterPrefix}name`]: column,
  };
}

/** A type with what Connect adds to it; by its bare name where there is nothing to add. */
function typeOf(type: FieldType, more: Readonly<Record<string, string>> = {}, value?: JsonValue): JsonValue {
  if (type.base === 'array') return annotated({ type: 'array', items: itemsOf(type.items, type.depth) }, { ...more }, value);
  const { base, meaning, parameters, connectType } = type;
  const versioned = meaning === undefined ? {} : { 'connect.version': 1 };
  const named = meaning === undefined ? {} : { 'connect.name': meaning };
  const narrow = connectType === undefined ? {} : { 'connect.type': connectType };
  return annotated({ type: base, ...versioned }, { ...parameters, ...more }, value, { ...named, ...narrow });
}

function annotated(type: Json, parameters: Readonly<Record<string, string>>, value: JsonValue | undefined, after: Json = {}): JsonValue {
  const all: Json = {
    ...type,
    ...(Object.keys(parameters).length === 0 ? {} : { 'connect.parameters': parameters }),
    ...(value === undefined ? {} : { 'connect.default': value }),
    ...after,
  };
  const { type: base = null } = all;
  return Object.keys(all).length === 1 ? base : all;
}

function itemsOf(items: PlainType, depth: number): JsonValue {
  const plain = ['null', typeOf(items)];
  return depth <= 1 ? plain : [...plain, { type: 'array', items: itemsOf(items, depth - 1) }];
}

/** Bytes are written as the characters of their codes. */
function avroDefault(value: JsonValue, { base }: FieldType): JsonValue {
  return base === 'bytes' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('latin1') : value;
}
