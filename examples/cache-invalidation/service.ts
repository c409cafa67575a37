/** A service that keeps the orders of the legacy system in a cache. See README.md. */
import { setTimeout as delay } from 'node:timers/promises';
import { consume, Poison, type Change } from 'legacy-cdc-bridge/sdk';
import { Pool } from 'pg';
import { ColdCacheError, openCache, type Cache } from './cache.ts';

type Order = { readonly id: number; readonly customer_id: number; readonly status: string };
type OrdersChange = Change<Order, { readonly id: number }>;

async function keep(cache: Cache, generation: string, change: OrdersChange): Promise<void> {
  switch (change.op) {
    case 'truncate':
      throw new Poison(change, 'orders are never truncated: somebody must look at it');
    case 'delete':
      await cache.put(generation, `order:${change.key.id}`, null, change);
      return;
    default: {
      const { id, customer_id, status } = change.after;
      await cache.put(generation, `order:${id}`, JSON.stringify({ id, customer_id, status }), change);
    }
  }
}

/** Consumes until it is to stop, or the cache must be filled again. A generation has a group of its own, which begins where the log begins. */
async function follow(cache: Cache, pool: Pool, signal: AbortSignal): Promise<void> {
  const generation = await cache.generation();
  const cold = new AbortController();
  await using consumer = await consume<{ readonly orders: OrdersChange }>({
    kafka: { brokers: process.env['KAFKA_BROKERS'] ?? 'localhost:9092' },
    group: `order-cache-${generation}`,
    schema: `order_cache_${generation}`,
    topics: { orders: process.env['ORDERS_TOPIC'] ?? 'log.public.orders' },
    database: pool,
    signal: AbortSignal.any([signal, cold.signal]),
    async handle(changes) {
      // Redis is no part of the transaction: what is done to it is done, also when the position is not committed and the changes come again.
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

/** Positions of a cache that is no more. */
async function forgetOthers(pool: Pool, generation: string): Promise<void> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT quote_ident(nspname) AS name FROM pg_namespace WHERE nspname ^@ 'order_cache_' AND nspname <> $1`,
    [`order_cache_${generation}`],
  );
  for (const { name } of rows) await pool.query(`DROP SCHEMA IF EXISTS ${name} CASCADE`);
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
process.once('SIGINT', () => stop.abort());
const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
try {
  await using cache = await openCache(process.env['REDIS_URL'] ?? 'redis://localhost:6379');
  while (!stop.signal.aborted) {
    await forgetOthers(pool, await cache.generation());
    await follow(cache, pool, stop.signal);
    await delay(1000, undefined, { signal: stop.signal }).catch(() => undefined);
  }
} finally {
  await pool.end();
}
