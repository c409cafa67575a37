import type { ClientConfig } from 'pg';
import { CdcError } from '#pipeline/index.ts';
import { explainError, openClient, type OpenClient } from './connect.ts';
import { sqlFile, sqlFiles } from './sql-files.ts';

export type SeedOptions = {
  /** Rows to add; each order gets one to five items. */
  readonly customers: number;
  readonly products: number;
  readonly orders: number;
  /** The same seed gives the same rows, but for their times. An integer up to 2^53. Default 1. */
  readonly seed?: number;
  readonly onProgress?: (progress: SeedProgress) => void;
  /** Stops between two chunks; what was committed stays. */
  readonly signal?: AbortSignal;
};

type SeedProgress = {
  readonly table: 'customers' | 'products' | 'orders';
  /** Rows of the table that are in, of how many; the items of an order come with their order. */
  readonly rows: number;
  readonly total: number;
};

/** Rows added per table. */
export type SeedResult = { readonly customers: number; readonly products: number; readonly orders: number; readonly orderItems: number };

const chunkRows = 20_000;

/**
 * Adds rows to the order system after whatever is there already: set-wise, in transactions of 20,000 rows with their items. Orders refer
 * to all customers and products that are there then. Ids are reserved first, so the application may write meanwhile.
 *
 * @throws CdcError LEGACY_TABLES_MISSING, LEGACY_DB_EMPTY (orders without customers), and those of a connection
 * @throws the signal's reason when aborted
 */
export async function seed(owner: ClientConfig, options: SeedOptions): Promise<SeedResult> {
  await using client = await openClient(owner);
  try {
    return await seedTables(client, options);
  } catch (error) {
    throw explainError(error, owner);
  }
}

async function seedTables(client: OpenClient, options: SeedOptions): Promise<SeedResult> {
  await preparePlan(client, options);
  const customers = await insertChunks(client, 'customers', ['customers'], options);
  const products = await insertChunks(client, 'products', ['products'], options);
  if (options.orders > 0) await prepareChoices(client);
  const orders = await insertChunks(client, 'orders', ['orders', 'order_items'], options);
  await client.query('ANALYZE public.customers, public.products, public.orders, public.order_items');
  return {
    customers: customers.get('customers') ?? 0,
    products: products.get('products') ?? 0,
    orders: orders.get('orders') ?? 0,
    orderItems: orders.get('order_items') ?? 0,
  };
}

async function preparePlan(client: OpenClient, options: SeedOptions): Promise<void> {
  const [plan = '', ...reserveIds] = await sqlFiles('seed');
  await client.query(plan);
  await client.query('INSERT INTO seed_plan (seed, customers, products, orders) VALUES ($1, $2, $3, $4)', [
    options.seed ?? 1,
    options.customers,
    options.products,
    options.orders,
  ]);
  // A script of several statements is one transaction.
  for (const script of reserveIds) await client.query(script);
}

async function prepareChoices(client: OpenClient): Promise<void> {
  await client.query(await sqlFile('seed/choices.sql'));
  const { rowCount } = await client.query('SELECT FROM seed_customers, seed_products LIMIT 1');
  if (rowCount === 0) {
    throw new CdcError('LEGACY_DB_EMPTY', 'orders cannot be seeded: there are no customers or no products', {
      remedy: 'Seed customers and products too.',
    });
  }
}

/** Inserts the parents in chunks, each with its dependants in one transaction; the rows inserted per table. */
async function insertChunks(
  client: OpenClient,
  parent: SeedProgress['table'],
  tables: readonly string[],
  options: SeedOptions,
): Promise<Map<string, number>> {
  const inserts = await Promise.all(
    tables.map(async (table) => ({ table, text: await sqlFile(`seed/${table.replace('_', '-')}.sql`), inserted: 0 })),
  );
  const total = options[parent];
  for (let from = 1; from <= total; from += chunkRows) {
    options.signal?.throwIfAborted();
    const to = Math.min(from + chunkRows - 1, total);
    await client.query('BEGIN');
    for (const insert of inserts) {
      const { rowCount } = await client.query(insert.text, [from, to]);
      insert.inserted += rowCount ?? 0;
    }
    await client.query('COMMIT');
    options.onProgress?.({ table: parent, rows: to, total });
  }
  return new Map(inserts.map(({ table, inserted }) => [table, inserted]));
}
