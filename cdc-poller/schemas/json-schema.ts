import { stringifyLossless, type JsonValue } from '#change-events/index.ts';
import type { FieldType, PlainType, SchemaField } from './field-type.ts';

type Json = { readonly [name: string]: JsonValue };

const draft = 'http://json-schema.org/draft-07/schema#';

/**
 * JSON Schemas of what the poller writes as JSON: the payload is the same text. Objects are closed: so a registry takes a new column that may be
 * missing from old events (nullable, or with a default) for a compatible change: an open object might have had a member of that name, of any type.
 */
export function jsonKeySchema(topic: string, fields: readonly SchemaField[]): string {
  return stringifyLossless({
    $schema: draft,
    title: `${topic}.Key`,
    ...objectOf(fields.map((field) => [field.column, keyProperty(field), true])),
  });
}

export function jsonValueSchema(topic: string, fields: readonly SchemaField[]): string {
  const row = objectOf(fields.map((field) => [field.column, rowProperty(field), !field.nullable && field.default === undefined]));
  const orNull: Json = { oneOf: [{ type: 'null' }, { $ref: '#/definitions/Value' }] };
  return stringifyLossless({
    $schema: draft,
    title: `${topic}.Envelope`,
    definitions: { Value: row },
    ...objectOf([
      ['before', orNull, true],
      ['after', orNull, true],
      ['source', source, true],
      ['transaction', transaction, true],
      ['op', { type: 'string', enum: ['c', 'u', 'd', 'r', 't'] }, true],
      ['ts_ms', integer('int64', true), true],
    ]),
  });
}

type Member = readonly [name: string, schema: Json, required: boolean];

function objectOf(members: readonly Member[]): Json {
  return {
    type: 'object',
    properties: Object.fromEntries(members.map(([name, schema], index) => [name, { ...schema, 'connect.index': index }])),
    required: members.filter(([, , required]) => required).map(([name]) => name),
    additionalProperties: false,
  };
}

const text: Json = { type: 'string' };

function integer(connectType: string, nullable: boolean): Json {
  return { type: nullable ? ['integer', 'null'] : 'integer', 'connect.type': connectType };
}

const source: Json = objectOf([
  ['version', text, true],
  ['connector', text, true],
  ['name', text, true],
  ['ts_ms', integer('int64', true), true],
  ['snapshot', text, true],
  ['db', text, true],
  ['schema', text, true],
  ['table', text, true],
  ['txId', integer('int64', true), true],
  ['lsn', integer('int64', true), true],
]);

const transaction: Json = {
  oneOf: [
    { type: 'null' },
    objectOf([
      ['id', text, true],
      ['total_order', integer('int64', false), true],
      ['data_collection_order', integer('int64', false), true],
    ]),
  ],
};

function keyProperty({ type, nullable }: SchemaField): Json {
  return schemaOf(type, nullable);
}

function rowProperty(field: SchemaField): Json {
  return { ...schemaOf(field.type, field.nullable), ...(field.default === undefined ? {} : { default: field.default }) };
}

function schemaOf(type: FieldType, nullable: boolean): Json {
  if (type.base !== 'array') return plainSchema(type, nullable);
  return { type: nullable ? ['array', 'null'] : 'array', items: itemsOf(type.items, type.depth) };
}

function itemsOf(items: PlainType, depth: number): Json {
  const plain = plainSchema(items, true);
  return depth <= 1 ? plain : { anyOf: [plain, { type: 'array', items: itemsOf(items, depth - 1) }] };
}

const forms: Readonly<Record<PlainType['base'], { readonly types: readonly string[]; readonly connect: string }>> = {
  int: { types: ['integer'], connect: 'int32' },
  long: { types: ['integer'], connect: 'int64' },
  // JSON has no NaN and no infinities: they are texts.
  float: { types: ['number', 'string'], connect: 'float32' },
  double: { types: ['number', 'string'], connect: 'float64' },
  boolean: { types: ['boolean'], connect: 'boolean' },
  string: { types: ['string'], connect: 'string' },
  bytes: { types: ['string'], connect: 'bytes' },
};

function plainSchema({ base, meaning, parameters, connectType }: PlainType, nullable: boolean): Json {
  const { types, connect } = forms[base];
  const all = nullable ? [...types, 'null'] : types;
  const [only = ''] = all;
  return {
    type: all.length === 1 ? only : all,
    ...(meaning === undefined ? {} : { title: meaning }),
    ...(base === 'bytes' ? { contentEncoding: 'base64' } : {}),
    'connect.type': connectType ?? connect,
    ...(parameters === undefined ? {} : { 'connect.parameters': parameters }),
  };
}
