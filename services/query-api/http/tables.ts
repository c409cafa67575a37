import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { QueryApiConfig } from '#pipeline/index.ts';
import type { Streams } from '../changes/streams.ts';
import type { Listed } from '../changes/watch.ts';
import type { Positions } from '../freshness/follow-positions.ts';
import { parseWanted } from '../freshness/position.ts';
import { writeCursor } from '../lists/cursor.ts';
import { flag, readListQuery, readRowQuery, single, type ListQuery } from '../lists/list-query.ts';
import { pageQuestion } from '../lists/page-sql.ts';
import type { Table } from '../model/catalogue.ts';
import type { Read, Reader } from '../model/reader.ts';
import type { Authenticate } from '../../http/auth.ts';
import { Problem } from '../../http/problems.ts';
import { headersOf } from './freshness-headers.ts';
import type { Metrics } from './metrics.ts';
import { requireRead } from './scopes.ts';

export type TablesOptions = {
  readonly reader: Reader;
  readonly positions: Positions;
  readonly streams: Streams;
  readonly authenticate: Authenticate;
  readonly metrics: Metrics;
  readonly settings: QueryApiConfig;
  readonly staleAfterMs: number;
  /** The server ends. */
  readonly signal: AbortSignal;
};

type Asked = { readonly name: string; readonly key: readonly string[] | null; readonly parameters: URLSearchParams };

const json = 'application/json; charset=utf-8';
const eventStream = 'text/event-stream';

/** `GET /v1/<table>` and `GET /v1/<table>/<key>…`, as answers and as live streams. What tables there are is asked for with each request, for they change. */
export function serveTables(app: FastifyInstance, options: TablesOptions): void {
  app.decorateRequest('tableAsked', null);
  app.get('/v1/*', async (request, reply) => {
    const grant = await options.authenticate(request.headers.authorization);
    const asked = readAddress(request.raw.url ?? '');
    requireRead(grant, asked.name);
    const accepts = (request.headers.accept ?? '*/*').toLowerCase();
    if (accepts.includes(eventStream) && request.method === 'GET') return stream(options, request, reply, asked, grant.expiresAt);
    if (!/\*\/\*|application\/(?:\*|json)/.test(accepts))
      throw new Problem('not-acceptable', 'Accept: expected application/json, or text/event-stream for live changes.');
    return answer(options, request, reply, asked);
  });
}

/** The route of a request, for the metrics: of a bounded set, whatever is asked. */
export function routeOf(request: FastifyRequest, reply: FastifyReply, path: string): string {
  if (request.tableAsked === null) return request.routeOptions.url ?? 'none';
  if (String(reply.raw.getHeader('content-type')).startsWith('text/event-stream')) return 'stream';
  return path.split('/').length > 3 ? '/v1/{table}/{key}' : '/v1/{table}';
}

/** @throws Problem not-found for an address that is none */
function readAddress(url: string): Asked {
  const [path = '', ...query] = url.split('?');
  try {
    const [, , name = '', ...key] = path.split('/').map(decodeURIComponent);
    return { name, key: key.length === 0 ? null : key, parameters: new URLSearchParams(query.join('?')) };
  } catch {
    throw new Problem('bad-request', 'The address is not percent-encoded UTF-8.');
  }
}

async function answer(options: TablesOptions, request: FastifyRequest, reply: FastifyReply, asked: Asked): Promise<FastifyReply> {
  const { reader, settings, staleAfterMs } = options;
  const isReached = await waitForPosition(options, request, asked.parameters);
  let query: ListQuery | null = null;
  const read = await reader.ask(asked.name, (table) => {
    query = queryOf(settings, table, asked);
    return pageQuestion(reader.model, table, query, settings.maxAnswerBytes);
  });
  if (read === null || query === null) throw noTable(reader, asked.name);
  tellTable(reply, read.table.name);
  reply.headers({
    ...headersOf(read.applied, staleAfterMs),
    ...(isReached ? {} : { 'position-reached': 'false' }),
    vary: 'accept, authorization',
    'cache-control': 'private, no-cache',
  });
  const body = asked.key === null ? listBody(read, query, reply, asked) : rowBody(read);
  const etag = `W/"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
  reply.header('etag', etag);
  if (matches(request.headers['if-none-match'], etag)) return reply.code(304).send();
  return reply.type(json).send(body);
}

function queryOf(settings: QueryApiConfig, table: Table, { key, parameters }: Asked): ListQuery {
  if (key === null) return readListQuery(table, parameters, settings);
  if (key.length !== table.key.length) {
    const names = table.key.map(({ name }) => name).join('/');
    throw new Problem('not-found', `A row of ${table.name} is at /v1/${encodeURIComponent(table.name)}/ and its key: ${names}.`);
  }
  return readRowQuery(table, key, parameters);
}

function noTable({ model }: Reader, name: string): Problem {
  return new Problem('not-found', `Read model ${model} has no table ${JSON.stringify(name)}. /openapi.json lists those that it has.`);
}

function rowBody({ rows: [row] }: Read): string {
  if (row === undefined) throw new Problem('not-found', 'There is no row of this key.');
  if (row[0] === null) throw tooLarge();
  return `${row[0]}\n`;
}

function listBody({ rows, table }: Read & { readonly table: Table }, query: ListQuery, reply: FastifyReply, asked: Asked): string {
  const kept = rows.slice(0, query.limit).filter(([, , , fits]) => fits === 'true');
  if (kept.length === 0 && rows.length > 0) throw tooLarge();
  const place = kept.at(-1)?.[2];
  const next = rows.length > kept.length && typeof place === 'string' ? writeCursor(table, query, placeOf(place)) : null;
  if (next !== null) {
    const parameters = new URLSearchParams(asked.parameters);
    parameters.set('cursor', next);
    reply.header('link', `</v1/${encodeURIComponent(table.name)}?${parameters.toString()}>; rel="next"`);
  }
  return `{"items":[${kept.map(([row]) => row).join(',')}],"next":${JSON.stringify(next)}}\n`;
}

/** The texts of the list's order in a row: JSON of Postgres, strings and nulls alone. */
function placeOf(place: string): readonly (string | null)[] {
  const values: unknown = JSON.parse(place);
  return Array.isArray(values) ? values.map((value) => (typeof value === 'string' ? value : null)) : [];
}

function tooLarge(): Problem {
  return new Problem('answer-too-large', 'The row alone is larger than an answer may be. Ask for fewer columns: fields=….');
}

/** @returns whether the model has reached what was asked for; false where the request takes an older answer. @throws Problem */
async function waitForPosition(
  { positions, metrics, settings, signal }: TablesOptions,
  request: FastifyRequest,
  parameters: URLSearchParams,
): Promise<boolean> {
  const takesStale = (flag(parameters, 'if-behind', ['stale', 'fail']) ?? 'fail') === 'stale';
  const header = request.headers['min-position'];
  const text = single(parameters, 'min-position') ?? (Array.isArray(header) ? header.join(';') : header);
  if (text === undefined) return true;
  // In a query, the plus of a zone comes as a blank.
  const wanted = parseWanted(text.replace(/ (?=\d\d:\d\d$)/, '+'));
  if (wanted === null)
    throw new Problem('position-invalid', 'Expected the Position of an answer, or a time with zone as 2026-01-31T12:00:00.123456Z.');
  const began = performance.now();
  const outcome = await positions.reached(wanted, settings.positionWaitMs, AbortSignal.any([signal, closed(request)]));
  metrics.waited(outcome === 'yes' ? 'reached' : 'not-reached', (performance.now() - began) / 1000);
  if (outcome === 'unknown') throw new Problem('position-invalid', 'The position names a topic or partition that the model does not read.');
  if (outcome === 'no' && !takesStale)
    throw new Problem(
      'position-not-reached',
      `The model has not reached the position within ${settings.positionWaitMs} ms. if-behind=stale takes an older answer.`,
    );
  return outcome === 'yes';
}

/** Nobody waits for whom nobody listens to. */
function closed(request: FastifyRequest): AbortSignal {
  const controller = new AbortController();
  request.raw.socket.once('close', () => controller.abort());
  return controller.signal;
}

function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag.slice(2));
}

/** A live stream of a list, or of the one row of a key. The question is checked before anything is written. */
async function stream(
  options: TablesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: Asked,
  expiresAt: number | null,
): Promise<FastifyReply> {
  const { reader, streams, settings, staleAfterMs } = options;
  for (const name of ['min-position', 'if-behind', 'cursor'])
    if (asked.parameters.has(name)) throw new Problem('bad-request', `${name}: not for a live stream.`);
  const catalogue = await reader.catalogue();
  const table = catalogue.tables.get(asked.name);
  if (table === undefined) throw noTable(reader, asked.name);
  tellTable(reply, table.name);
  const list = async (): Promise<Listed | null> => {
    const read = await reader.ask(asked.name, (now) =>
      pageQuestion(reader.model, now, queryOf(settings, now, asked), settings.maxAnswerBytes),
    );
    if (read === null) return null;
    const { limit } = queryOf(settings, read.table, asked);
    const rows = read.rows
      .slice(0, limit)
      .flatMap(([row, key]) => (typeof row === 'string' && typeof key === 'string' ? [{ key, json: row }] : []));
    return { rows, applied: read.applied };
  };
  const first = await list();
  if (first === null) throw noTable(reader, asked.name);
  const sorted = new URLSearchParams(asked.parameters);
  sorted.sort();
  const name = JSON.stringify([asked.name, asked.key, sorted.toString()]);
  await streams.requirePlace(name);
  const { 'last-event-id': lastId } = request.headers;
  reply.hijack();
  reply.raw.writeHead(200, {
    ...headersOf(first.applied, staleAfterMs),
    ...textHeaders(reply),
    'content-type': `${eventStream}; charset=utf-8`,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  request.raw.socket.setNoDelay(true);
  streams.serve(reply.raw, { name, list, topics: table.topics, lastId: typeof lastId === 'string' ? lastId : null, expiresAt });
  return reply;
}

function textHeaders(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(
    Object.entries(reply.getHeaders()).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

/** For the metrics: only now is it known that the table is one. */
function tellTable(reply: FastifyReply, table: string): void {
  reply.request.tableAsked = table;
}

declare module 'fastify' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- only an interface can be added to
  interface FastifyRequest {
    /** A table that the model has. */
    tableAsked: string | null;
  }
}
