import { escapeIdentifier } from 'pg';

/**
 * How a column's value is written in an answer, so that no digit is lost in any client: integers up to 32 bits, floating point, booleans and JSON
 * as JSON has them; everything else, bigint and numeric above all, as a string of what Postgres prints. Times are ISO 8601, in UTC. Pure.
 */

export type Column = {
  readonly name: string;
  /** The type without its length or scale, as SQL: a cast to it never cuts. */
  readonly type: string;
  /** Name of the base type in pg_catalog, of the elements for an array; null for any other type. */
  readonly base: string | null;
  readonly isArray: boolean;
  readonly notNull: boolean;
};

type Form = { readonly schema: Readonly<Record<string, unknown>>; /** Of a value that may well not exist. */ readonly example: string };

const float: Form = { schema: { type: ['number', 'string'], description: 'NaN, Infinity and -Infinity are strings.' }, example: '1.5' };
const anything: Form = { schema: { description: 'Any JSON value.' }, example: '{}' };

/** Types that go as JSON has them, or as JSON's own text form of Postgres. */
const asJson: Readonly<Record<string, Form>> = {
  bool: { schema: { type: 'boolean' }, example: 'true' },
  int2: { schema: { type: 'integer', minimum: -32_768, maximum: 32_767 }, example: '1' },
  int4: { schema: { type: 'integer', format: 'int32' }, example: '1' },
  float4: float,
  float8: float,
  json: anything,
  jsonb: anything,
  text: { schema: { type: 'string' }, example: 'text' },
  varchar: { schema: { type: 'string' }, example: 'text' },
  bpchar: { schema: { type: 'string' }, example: 'text' },
  uuid: { schema: { type: 'string', format: 'uuid' }, example: '00000000-0000-4000-8000-000000000000' },
  date: { schema: { type: 'string', description: 'ISO 8601, or infinity.' }, example: '2026-01-31' },
  timestamp: { schema: { type: 'string', description: 'ISO 8601 without zone, or infinity.' }, example: '2026-01-31T12:00:00' },
  timestamptz: { schema: { type: 'string', description: 'ISO 8601 in UTC, or infinity.' }, example: '2026-01-31T12:00:00Z' },
};

/** Types that go as the string that Postgres prints. */
const asText: Readonly<Record<string, Form>> = {
  int8: { schema: { type: 'string', pattern: '^-?[0-9]+$', description: 'bigint: every digit, as a string.' }, example: '1' },
  numeric: { schema: { type: 'string', description: 'numeric: every digit, as a string; NaN and Infinity too.' }, example: '1.50' },
  interval: { schema: { type: 'string', description: 'ISO 8601 duration.' }, example: 'PT1H' },
  bytea: { schema: { type: 'string', description: String.raw`Bytes in hex, after \x.` }, example: String.raw`\x00` },
  time: { schema: { type: 'string' }, example: '12:00:00' },
  timetz: { schema: { type: 'string' }, example: '12:00:00+00' },
  inet: { schema: { type: 'string' }, example: '127.0.0.1' },
};

const otherText: Form = { schema: { type: 'string', description: 'As Postgres prints it.' }, example: 'text' };

function formOf({ base }: Column): Form {
  return (base === null ? undefined : (asJson[base] ?? asText[base])) ?? otherText;
}

function goesAsJson({ base }: Column): boolean {
  return base !== null && Object.hasOwn(asJson, base);
}

/** The column of table `t` as row_to_json takes it, with its name. */
export function valueSql(column: Column): string {
  const name = escapeIdentifier(column.name);
  if (goesAsJson(column)) return `t.${name} AS ${name}`;
  return `t.${name}::pg_catalog.text${column.isArray ? '[]' : ''} AS ${name}`;
}

/** The JSON Schema of the column's values, with the type of the database. */
export function schemaOf(column: Column): Readonly<Record<string, unknown>> {
  const { schema } = formOf(column);
  const values = column.isArray ? { type: 'array', items: anyOrNull({}, 'elements, or arrays of them') } : schema;
  return { ...(column.notNull ? values : anyOrNull(values)), 'x-postgres-type': column.type };
}

/** A value for examples of requests. */
export function exampleOf(column: Column): string {
  return column.isArray ? '{}' : formOf(column).example;
}

function anyOrNull(schema: Readonly<Record<string, unknown>>, description?: string): Readonly<Record<string, unknown>> {
  const { type } = schema;
  const told = description === undefined ? {} : { description };
  if (type === undefined) return { ...schema, ...told };
  return { ...schema, type: [...(Array.isArray(type) ? type : [type]), 'null'] };
}
