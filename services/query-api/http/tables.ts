import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { QueryApiConfig } from '#pipeline/index.ts';
import { qualified } from '#read-model/index.ts';
import type { Streams } from '../changes/streams.ts';
import type { Listed } from '../changes/watch.ts';
import type { Positions } from '../freshness/follow-positions.ts';
import type { Fallback } from '../fallback/fallback.ts';
import type { ListQuery } from '../lists/list-query.ts';
import { pageQuestion, rowQuestion } from '../lists/page-sql.ts';
import type { Reader } from '../model/reader.ts';
import type { Authenticate } from '../../http/auth.ts';
import { Problem } from '../../http/problems.ts';
import { answerOf, etagOf, matches, noTable, queryOf, type Asked, type TableAnswer } from './table-answer.ts';
import { positionOf, requireReached, waitForPosition, type AskedPosition } from './wait-for-position.ts';
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
  /** How far the clock of the source is ahead. */
  readonly clockAheadMs: number;
  /** What answers when the read model cannot; null: nobody. */
  readonly fallback: Fallback | null;
  /** The server ends. */
  readonly signal: AbortSignal;
};

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
  const { fallback, metrics, staleAfterMs } = options;
  const position = positionOf(request, asked.parameters);
  const given =
    fallback === null
      ? await askModel(options, request, asked, position)
      : await fallback.answer(asked, position, () => askModel(options, request, asked, position));
  tellTable(reply, given.table);
  metrics.gave(given.source);
  reply.headers({
    ...headersOf(given.applied, staleAfterMs),
    ...(given.source === 'last-answer' ? { freshness: 'stale', age: String(Math.ceil(given.ageMs / 1000)) } : {}),
    ...(given.isReached ? {} : { 'position-reached': 'false' }),
    ...(given.link === null ? {} : { link: given.link }),
    'answered-by': given.source,
    vary: 'accept, authorization',
    'cache-control': 'private, no-cache',
  });
  if (given.body instanceof Problem) throw given.body;
  const etag = etagOf(given.body);
  reply.header('etag', etag);
  if (matches(request.headers['if-none-match'], etag)) return reply.code(304).send();
  return reply.type('application/json; charset=utf-8').send(given.body);
}

/** The read model's answer, when it has reached the position. */
async function askModel(
  options: TablesOptions,
  request: FastifyRequest,
  asked: Asked,
  position: AskedPosition | null,
): Promise<TableAnswer> {
  const { reader, settings, fallback, clockAheadMs } = options;
  await waitForPosition(options, request, position);
  const read = async (): Promise<TableAnswer> => {
    let query: ListQuery | null = null;
    const askedAt = performance.now();
    const found = await reader.ask(asked.name, (table) => {
      query = queryOf(settings, table, asked);
      const makeQuestion = asked.key === null ? pageQuestion : rowQuestion;
      return makeQuestion({ from: qualified(reader.model, table.name) }, table, query, settings.maxAnswerBytes);
    });
    if (found === null || query === null) throw noTable(reader.model, asked.name);
    const isReached = requireReached(position, found.reached, clockAheadMs);
    return { ...answerOf(found, query, asked), isReached, source: 'read-model', ageMs: performance.now() - askedAt };
  };
  return fallback === null ? read() : fallback.model.run(read);
}

/** A live stream of a list, or of the one row of a key. The question is checked before anything is written. */
async function stream(
  options: TablesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: Asked,
  expiresAt: number | null,
): Promise<FastifyReply> {
  const { reader, streams, settings, staleAfterMs, fallback } = options;
  for (const name of ['min-position', 'if-behind', 'cursor'])
    if (asked.parameters.has(name)) throw new Problem('bad-request', `${name}: not for a live stream.`);
  let topics: readonly string[] = [];
  const list = async (): Promise<Listed | null> => {
    const read = await reader.ask(asked.name, (now) =>
      pageQuestion({ from: qualified(reader.model, now.name) }, now, queryOf(settings, now, asked), settings.maxAnswerBytes),
    );
    if (read === null) return null;
    topics = read.table.topics;
    const { limit } = queryOf(settings, read.table, asked);
    const rows = read.rows
      .slice(0, limit)
      .flatMap(([row, key]) => (typeof row === 'string' && typeof key === 'string' ? [{ key, json: row }] : []));
    return { rows, applied: read.applied };
  };
  const first = await (fallback === null ? list() : fallback.model.run(list));
  if (first === null) throw noTable(reader.model, asked.name);
  tellTable(reply, asked.name);
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
  streams.serve(reply.raw, { name, list, topics, lastId: typeof lastId === 'string' ? lastId : null, expiresAt });
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
