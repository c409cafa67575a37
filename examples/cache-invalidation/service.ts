/** A service that keeps the orders of the legacy system in a cache. See README.md. */
import { setTimeout as delay } from 'node:timers/promises';
import { consume, Poison, type Change } from 'legacy-cdc-bridge/sdk';
import { ColdCacheError, openCache, type Cache } from './cache.ts';

type Order = { readonly id: number; readonly customer_id: number; readonly status: string };
type OrdersChange = Change<Order, { readonly id: number }>;

/** Harmless to repeat: an entry that is from this change, or from a later one, stays as it is. */
async function keep(cache: Cache, generation: string, change: OrdersChange): Promise<void> {
  switch (change.op) {
    case 'truncate':
      throw new Poison(change, 'orders are never truncated: somebody must look at it');
    case 'delete':
      await cache.put(generation, `order:${change.key.id}`, null, change);
      return;
    case 'create':
    case 'read':
    case 'update': {
      const { id, customer_id, status } = change.after;
      await cache.put(generation, `order:${id}`, JSON.stringify({ id, customer_id, status }), change);
    }
  }
}

/**
 * Consumes until it is to stop, or the cache must be filled again. What Redis holds and how far the group is belong together: so each generation of the
 * cache has a group of its own, which begins where the log begins.
 */
async function follow(cache: Cache, signal: AbortSignal): Promise<void> {
  const generation = await cache.generation();
  const cold = new AbortController();
  await using consumer = await consume<{ readonly orders: OrdersChange }>({
    kafka: { brokers: process.env['KAFKA_BROKERS'] ?? 'localhost:9092' },
    group: `order-cache-${generation}`,
    topics: { orders: process.env['ORDERS_TOPIC'] ?? 'log.public.orders' },
    signal: AbortSignal.any([signal, cold.signal]),
    async handle(changes) {
      try {
        for (const change of changes) await keep(cache, generation, change);
      } catch (error) {
        if (error instanceof ColdCacheError) cold.abort();
        throw error;
      }
    },
  });
  await consumer.finished;
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
process.once('SIGINT', () => stop.abort());
await using cache = await openCache(process.env['REDIS_URL'] ?? 'redis://localhost:6379');
while (!stop.signal.aborted) {
  try {
    await follow(cache, stop.signal);
  } catch (error) {
    if (stop.signal.aborted) break;
    // Redis is away while a generation begins: what is cached is read again when it is back.
    process.stderr.write(`${String(error)}\n`);
  }
  await delay(1000, undefined, { signal: stop.signal }).catch(() => undefined);
}
