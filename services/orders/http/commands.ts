import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger, OrdersConfig } from '#pipeline/index.ts';
import { requireScope, type Authenticate } from '../../http/auth.ts';
import { contextOf } from '../../http/request-ids.ts';
import { keptAnswer, readKey, type CommandKey, type Done } from '../commands/idempotency.ts';
import { orderBodies, orderId, readBody, type Item, type PricedItem } from '../commands/order-body.ts';
import {
  deleteOrder,
  insertItems,
  insertOrder,
  lockOrder,
  noOrder,
  readOrder,
  replaceItems,
  updateOrder,
  type OrderAnswer,
} from '../commands/orders-table.ts';
import { runCommand, type Answer } from '../commands/run-command.ts';
import type { Legacy } from '../database/legacy.ts';
import { keysTableOf } from '../database/role.ts';
import type { Metrics } from '../metrics.ts';
import type { Prices } from '../prices.ts';
import { readIfMatch, requireMatch } from './preconditions.ts';

export type CommandsOptions = {
  readonly legacy: Legacy;
  readonly prices: Prices;
  readonly authenticate: Authenticate;
  readonly settings: OrdersConfig;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** The server ends. */
  readonly signal: AbortSignal;
};

export const scope = 'orders:write';
const json = 'application/json; charset=utf-8';
type WithId = { readonly Params: { readonly id: string } };

/** The commands on orders, and an order as the legacy system has it now, for who wants to change it. */
export function serveCommands(app: FastifyInstance, options: CommandsOptions): void {
  const { legacy, authenticate, settings, logger, metrics, signal } = options;
  const bodies = orderBodies(settings.maxItems);
  const table = keysTableOf(settings);
  const running = { pool: legacy.pool, keys: { table, keepMs: settings.idempotencyKeepMs }, logger };
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('application/merge-patch+json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'));

  app.post('/v1/orders', async (request, reply) => {
    const key = await admit(request);
    const { items, ...columns } = readBody(bodies.post, request.body);
    const answer = await keptOr(key, async () => {
      const priced = await pricedFor(request, items);
      return runCommand(running, key, async (client) => {
        const id = await insertOrder(client, columns);
        await insertItems(client, id, priced);
        return { status: 201, location: `/v1/orders/${id}`, ...bodyOf(await readOrder(client, id)) };
      });
    });
    return send(reply, answer);
  });

  app.get<WithId>('/v1/orders/:id', async (request, reply) => {
    await admit(request);
    const order = await readOrder(legacy.pool, idOf(request));
    if (order === null) throw noOrder();
    return reply.header('etag', order.etag).header('cache-control', 'private, no-cache').type(json).send(`${order.json}\n`);
  });

  app.put<WithId>('/v1/orders/:id', async (request, reply) => {
    const key = await admit(request);
    const { items, ...columns } = readBody(bodies.put, request.body);
    const reset = (['status', 'note'] as const).filter((name) => columns[name] === undefined);
    return send(reply, await changed(request, key, { columns, reset, items }));
  });

  app.patch<WithId>('/v1/orders/:id', async (request, reply) => {
    const key = await admit(request);
    const { items, ...columns } = readBody(bodies.patch, request.body);
    // Removed, in the words of a merge patch.
    const reset = (['status', 'note'] as const).filter((name) => columns[name] === null);
    return send(reply, await changed(request, key, { columns, reset, items }));
  });

  app.delete<WithId>('/v1/orders/:id', async (request, reply) => {
    const key = await admit(request);
    const id = idOf(request);
    const wanted = readIfMatch(request.headers['if-match'], settings.requireIfMatch);
    const answer = await runCommand(running, key, async (client) => {
      await lockOrder(client, id);
      requireMatch(wanted, (await readOrder(client, id))?.etag ?? '');
      await deleteOrder(client, id);
      return { status: 204, location: null, etag: null, body: null };
    });
    return send(reply, answer);
  });

  /** Who may, and the key of the command. */
  async function admit(request: FastifyRequest): Promise<CommandKey | null> {
    const grant = await authenticate(request.headers.authorization);
    requireScope(grant.has(scope), scope);
    await legacy.checkOnce();
    const { method, url, body, headers } = request;
    const given = headers['idempotency-key'];
    return readKey(Array.isArray(given) ? given.join() : given, grant.subject, [method, url, body ?? null, headers['if-match'] ?? null]);
  }

  /** A command that was done is not asked for prices again, which may have changed. */
  async function keptOr(key: CommandKey | null, run: () => Promise<Answer>): Promise<Answer> {
    const kept = key === null ? null : await keptAnswer(legacy.pool, table, key);
    return kept === null ? run() : runCommand(running, key, () => Promise.resolve(kept));
  }

  function pricedFor(request: FastifyRequest, items: readonly Item[]): Promise<readonly PricedItem[]> {
    return options.prices.priced(items, { authorization: request.headers.authorization, context: contextOf(request), signal });
  }

  async function changed(request: FastifyRequest<WithId>, key: CommandKey | null, { columns, reset, items }: Change): Promise<Answer> {
    const id = idOf(request);
    const wanted = readIfMatch(request.headers['if-match'], settings.requireIfMatch);
    return keptOr(key, async () => {
      const priced = items === undefined ? null : await pricedFor(request, items);
      return runCommand(running, key, async (client): Promise<Done> => {
        const existing = await lockOrder(client, id);
        if (wanted !== null) requireMatch(wanted, (await readOrder(client, id))?.etag ?? '');
        await updateOrder(client, id, columns, reset);
        if (priced !== null) await replaceItems(client, id, existing, priced);
        return { status: 200, location: null, ...bodyOf(await readOrder(client, id)) };
      });
    });
  }

  function send(reply: FastifyReply, { status, etag, location, body, minPosition, replayed }: Answer): FastifyReply {
    if (replayed) metrics.replayed();
    reply.code(status).headers({
      'cache-control': 'no-store',
      ...(etag === null ? {} : { etag }),
      ...(location === null ? {} : { location }),
      ...(minPosition === null ? {} : { 'min-position': minPosition }),
      ...(replayed ? { 'idempotency-replayed': 'true' } : {}),
    });
    return body === null ? reply.send() : reply.type(json).send(`${body}\n`);
  }
}

type Change = {
  readonly columns: Parameters<typeof updateOrder>[2];
  readonly reset: Parameters<typeof updateOrder>[3];
  readonly items: readonly Item[] | undefined;
};

/** @throws Problem not-found for what is no id */
function idOf({ params }: FastifyRequest<WithId>): string {
  if (!orderId.safeParse(params.id).success) throw noOrder();
  return params.id;
}

/** Of an order that this transaction has just locked or made. */
function bodyOf(order: OrderAnswer | null): { readonly etag: string; readonly body: string } {
  if (order === null) throw noOrder();
  return { etag: order.etag, body: order.json };
}
