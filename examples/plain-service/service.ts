/** A small service: it keeps an invoice for each order of the legacy system, and how many each customer has. See README.md. */
import { readFile } from 'node:fs/promises';
import { consume, Poison, type Change, type Tx } from 'legacy-cdc-bridge/sdk';
import { Pool } from 'pg';

type Order = { readonly id: number; readonly customer_id: number; readonly status: string };
type OrdersChange = Change<Order, { readonly id: number }>;

const stateOf: Readonly<Record<string, string>> = { new: 'open', paid: 'paid', shipped: 'paid', cancelled: 'void' };

async function keep(change: OrdersChange, tx: Tx): Promise<void> {
  if (change.op === 'truncate') throw new Poison(change, 'orders are never truncated: somebody must look at it');
  if (change.op === 'delete') {
    const { rows } = await tx.query<{ customer_id: string }>('DELETE FROM invoices WHERE order_id = $1 RETURNING customer_id', [
      change.key.id,
    ]);
    // A counter: an effect that must not happen twice.
    for (const { customer_id } of rows) await tx.query('UPDATE accounts SET invoices = invoices - 1 WHERE customer_id = $1', [customer_id]);
    return;
  }
  const { id, customer_id, status } = change.after;
  const state = stateOf[status];
  if (state === undefined) throw new Poison(change, `order ${id} has the status ${status}, which this service does not know`);
  const updated = await tx.query('UPDATE invoices SET state = $2 WHERE order_id = $1', [id, state]);
  if (updated.rowCount !== 0) return;
  await tx.query('INSERT INTO invoices (order_id, customer_id, state) VALUES ($1, $2, $3)', [id, customer_id, state]);
  await tx.query('INSERT INTO accounts VALUES ($1, 1) ON CONFLICT (customer_id) DO UPDATE SET invoices = accounts.invoices + 1', [
    customer_id,
  ]);
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
process.once('SIGINT', () => stop.abort());
const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
try {
  await pool.query(await readFile(new URL('schema.sql', import.meta.url), 'utf8'));
  await using consumer = await consume<{ readonly orders: OrdersChange }>({
    kafka: { brokers: process.env['KAFKA_BROKERS'] ?? 'localhost:9092' },
    group: 'billing',
    topics: { orders: process.env['ORDERS_TOPIC'] ?? 'log.public.orders' },
    database: pool,
    signal: stop.signal,
    async handle(changes, tx) {
      for (const change of changes) await keep(change, tx);
    },
  });
  await consumer.finished;
} finally {
  await pool.end();
}
