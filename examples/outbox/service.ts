/** Another service: it keeps what each customer has ordered, from the shop's events. See README.md. */
import { consume, Poison, type OutboxEvent, type Tx } from 'legacy-cdc-bridge/sdk';
import { Pool } from 'pg';
import type { OrderEvents } from './events.ts';

type OrderEvent = { [Type in keyof OrderEvents]: OutboxEvent<Type, OrderEvents[Type]> }[keyof OrderEvents];

const schema = `
  CREATE TABLE IF NOT EXISTS open_orders (order_id uuid PRIMARY KEY, customer_id bigint NOT NULL, amount numeric NOT NULL);
  CREATE TABLE IF NOT EXISTS customers (customer_id bigint PRIMARY KEY, ordered numeric NOT NULL);`;

/** Adds to a sum: an effect that must not happen twice. */
const add = `INSERT INTO customers VALUES ($1, $2)
  ON CONFLICT (customer_id) DO UPDATE SET ordered = customers.ordered + excluded.ordered`;

async function count(event: OrderEvent, tx: Tx): Promise<void> {
  switch (event.type) {
    case 'OrderPlaced': {
      const { customerId, amount } = event.payload;
      await tx.query('INSERT INTO open_orders VALUES ($1, $2, $3)', [event.key, customerId, amount]);
      await tx.query(add, [customerId, amount]);
      return;
    }
    case 'OrderCancelled': {
      const { rows } = await tx.query<{ customer_id: string; less: string }>(
        'DELETE FROM open_orders WHERE order_id = $1 RETURNING customer_id, -amount AS less',
        [event.key],
      );
      for (const { customer_id, less } of rows) await tx.query(add, [customer_id, less]);
      return;
    }
    default:
      // A type that the shop has made since: parked, with the later events of its order, until this service knows it.
      throw new Poison(event, 'this service does not know its type');
  }
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
process.once('SIGINT', () => stop.abort());
const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
try {
  await pool.query(schema);
  await using consumer = await consume<{ readonly orders: OrderEvent }>({
    kafka: { brokers: process.env['KAFKA_BROKERS'] ?? 'localhost:9092' },
    group: 'customers',
    topics: { orders: { topic: process.env['ORDER_EVENTS_TOPIC'] ?? 'outbox.event.order', value: 'outbox' } },
    database: pool,
    signal: stop.signal,
    async handle(events, tx) {
      for (const event of events) await count(event, tx);
    },
  });
  await consumer.finished;
} finally {
  await pool.end();
}
