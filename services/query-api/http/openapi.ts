import type { Table } from '../model/catalogue.ts';
import { exampleOf, schemaOf, type Column } from '../model/values.ts';
import { freshnessHeaders } from './freshness-headers.ts';
import { problemType, problemUri } from '../../http/problems.ts';
import { queryApiProblems as problems } from './own-problems.ts';
import { scopeOf } from './scopes.ts';
import { isReserved } from '../lists/list-query.ts';

/** The OpenAPI document of a model's tables. Pure: made of what tables there are, and of no row. */

type Json = Readonly<Record<string, unknown>>;

export type OpenApiOptions = {
  readonly model: string;
  readonly tables: readonly Table[];
  readonly auth: 'none' | 'jwt';
  readonly defaultLimit: number;
  readonly maxLimit: number;
};

/** An OpenAPI 3.1 document. Its examples are requests that this API answers, though a row of such a key may well not exist. */
export function openApiDocument({ model, tables, auth, defaultLimit, maxLimit }: OpenApiOptions): Json {
  const secured = auth === 'jwt';
  const limits = { defaultLimit, maxLimit };
  return {
    openapi: '3.1.0',
    info: {
      title: `Read model ${model}`,
      version: '1',
      description:
        'Mirrors and projections of a read model, read-only. Every answer says how fresh it is (headers). bigint, numeric and every type that JSON has no exact form for are strings.',
    },
    ...(secured ? { security: [{ bearer: [] }] } : {}),
    paths: Object.fromEntries(tables.toSorted(byName).flatMap((table) => pathsOf(table, limits, secured))),
    components: {
      schemas: { Problem: problemSchema, ...Object.fromEntries(tables.map((table) => [schemaName(table), rowSchema(table)])) },
      headers: Object.fromEntries(
        Object.entries(freshnessHeaders).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
      ),
      responses: {
        Problem: {
          description: 'A problem document (RFC 9457).',
          content: { [mediaType(problemType)]: { schema: reference('schemas/Problem') } },
        },
      },
      ...(secured ? { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } } : {}),
    },
  };
}

function byName(a: Table, b: Table): number {
  return a.name < b.name ? -1 : 1;
}

function pathsOf(
  table: Table,
  limits: { readonly defaultLimit: number; readonly maxLimit: number },
  secured: boolean,
): readonly (readonly [string, Json])[] {
  const path = `/v1/${encodeURIComponent(table.name)}`;
  const id = schemaName(table);
  const security = secured ? { security: [{ bearer: ['read'] }, { bearer: [scopeOf(table.name)] }] } : {};
  const description = `${table.kind === 'mirror' ? 'A mirror of a source table' : 'A projection'}. Key: ${namesOf(table.key)}.`;
  const rowOf = {
    description: 'One row.',
    headers: answerHeaders,
    content: { 'application/json': { schema: reference(`schemas/${id}`) } },
  };
  const listOf = {
    description: 'A page. With Accept: text/event-stream, the rows of the first page and then each change of it.',
    headers: { ...answerHeaders, link: { description: 'The next page (rel="next").', schema: { type: 'string' } } },
    content: { 'application/json': { schema: pageSchema(id) }, 'text/event-stream': { schema: { type: 'string' } } },
  };
  const keys = table.key.map((column, index) => keyParameter(column, index));
  return [
    [
      path,
      {
        get: {
          operationId: `list-${id}`,
          summary: `Rows of ${table.name}`,
          description,
          ...security,
          parameters: listParameters(table, limits),
          responses: responses(listOf),
        },
      },
    ],
    [
      `${path}/${keys.map(({ name }) => `{${name}}`).join('/')}`,
      {
        get: {
          operationId: `get-${id}`,
          summary: `A row of ${table.name}`,
          description,
          ...security,
          parameters: [...keys, ...rowParameters(table)],
          responses: responses(rowOf),
        },
      },
    ],
  ];
}

const answerHeaders: Json = {
  ...Object.fromEntries(Object.keys(freshnessHeaders).map((name) => [name, reference(`headers/${name}`)])),
  etag: { description: 'Weak. If-None-Match answers 304 while the rows are the same.', schema: { type: 'string' } },
  'answered-by': { description: 'read-model; last-answer or legacy while the read model is away.', schema: { type: 'string' } },
  'position-reached': { description: 'false, in an answer that is older than Min-Position.', schema: { type: 'string' } },
};

function responses(found: Json): Json {
  const statuses = [...new Set(problems.map(({ status }) => String(status)))].filter(
    (status) => !['405', '408', '413', '415', '431'].includes(status),
  );
  return {
    '200': found,
    '304': { description: 'The rows are those of If-None-Match.' },
    ...Object.fromEntries(statuses.map((status) => [status, reference('responses/Problem')])),
  };
}

/** A name of its own, whatever the column is called: a template takes no braces. */
function keyParameter(column: Column, index: number): { readonly name: string; readonly [member: string]: unknown } {
  const name = /^[\w.-]+$/.test(column.name) ? column.name : `key${index + 1}`;
  return {
    name,
    in: 'path',
    required: true,
    description: `Column ${column.name}, in the text form of ${column.type}.`,
    schema: { type: 'string' },
    example: exampleOf(column),
  };
}

function listParameters(
  table: Table,
  { defaultLimit, maxLimit }: { readonly defaultLimit: number; readonly maxLimit: number },
): readonly Json[] {
  const leading = new Map(table.indexes.flatMap((index) => index.slice(0, 1)).map((column) => [column.name, column]));
  const orders = table.indexes.map((index) => `(${namesOf(index)})`).join(', ');
  return [
    ...[...leading.values()].map((column) =>
      query(
        parameterOf(column),
        `Rows whose ${column.name} equals this, in the text form of ${column.type}. Filters are the first columns of an index: ${orders}.`,
        {},
        exampleOf(column),
      ),
    ),
    query('limit', 'Most rows of the page.', { type: 'integer', minimum: 1, maximum: maxLimit, default: defaultLimit }, 2),
    query('cursor', 'next of the page before. Everything else must be as it was there.'),
    query('order', `Columns that follow the filters in an index; with the key behind them. Default: the key.`, {}, table.key[0]?.name),
    query('desc', 'Backwards.', { type: 'string', enum: ['true', 'false'], default: 'false' }, 'true'),
    ...rowParameters(table),
  ];
}

function rowParameters(table: Table): readonly Json[] {
  return [
    query('fields', 'Columns to give, with commas. Default: all.', {}, table.columns[0]?.name),
    ...(table.deleted === null
      ? []
      : [
          query(
            'deleted',
            `include: rows that are deleted at the source too, with ${table.deleted}.`,
            { type: 'string', enum: ['include', 'exclude'] },
            'include',
          ),
        ]),
    query(
      'min-position',
      'As the header Min-Position: wait until the model has applied this (the Position of an answer, or a time with zone), else 503.',
    ),
    query(
      'if-behind',
      'With min-position: stale takes an older answer, marked by Position-Reached: false.',
      { type: 'string', enum: ['fail', 'stale'] },
      'stale',
    ),
  ];
}

function query(name: string, description: string, schema: Json = {}, example?: string | number): Json {
  return { name, in: 'query', description, schema: { type: 'string', ...schema }, ...(example === undefined ? {} : { example }) };
}

/** A column that is called as a parameter is gets a prefix. */
function parameterOf({ name }: Column): string {
  return isReserved(name) || name.startsWith('column.') ? `column.${name}` : name;
}

function rowSchema(table: Table): Json {
  const columns = table.columns.map((column) => [column.name, schemaOf(column)] as const);
  const deleted =
    table.deleted === null
      ? []
      : [[table.deleted, { type: ['string', 'null'], description: 'When the row was deleted; with deleted=include.' }] as const];
  return {
    type: 'object',
    description: 'With fields, these columns only.',
    properties: Object.fromEntries([...columns, ...deleted]),
    additionalProperties: false,
  };
}

function pageSchema(id: string): Json {
  return {
    type: 'object',
    required: ['items', 'next'],
    additionalProperties: false,
    properties: {
      items: { type: 'array', items: reference(`schemas/${id}`) },
      next: { type: ['string', 'null'], description: 'The cursor of the next page; null at the end.' },
    },
  };
}

const problemSchema: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail'],
  properties: {
    type: { type: 'string', format: 'uri', enum: problems.map(({ kind }) => problemUri(kind)) },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
  },
};

/** Names of components have letters, digits, dot, dash and underscore only; what is written otherwise keeps its code points. */
function schemaName({ name }: Table): string {
  return name.replaceAll(/[^A-Za-z0-9.-]/gu, (one) => (one === '_' ? '_' : `_${(one.codePointAt(0) ?? 0).toString(16)}_`));
}

function namesOf(columns: readonly Column[]): string {
  return columns.map(({ name }) => name).join(', ');
}

function reference(path: string): Json {
  return { $ref: `#/components/${path}` };
}

function mediaType(type: string): string {
  return type.split(';', 1)[0] ?? type;
}
