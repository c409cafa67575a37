/** Commands of the shop. Each writes its row and its event in one transaction: other services hear of it if, and only if, it has happened. */
import { randomUUID } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import type { OrderEvents } from './events.ts';

type Event = { [Type in keyof OrderEvents]: { readonly type: Type; readonly payload: OrderEvents[Type] } }[keyof OrderEvents];

/** @param amount digits with a decimal point, as `numeric` takes them */
export async function placeOrder(pool: Pool, customerId: number, amount: string): Promise<string> {
  const id = randomUUID();
  await inTransaction(pool, async (client) => {
    await client.query(`INSERT INTO orders VALUES ($1, $2, $3, 'placed')`, [id, customerId, amount]);
    await publish(client, id, { type: 'OrderPlaced', payload: { customerId, amount } });
  });
  return id;
}

/** Cancels an order that is placed, and leaves any other as it is. */
export async function cancelOrder(pool: Pool, id: string): Promise<void> {
  await inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(`UPDATE orders SET state = 'cancelled' WHERE id = $1 AND state = 'placed'`, [id]);
    if (rowCount === 1) await publish(client, id, { type: 'OrderCancelled', payload: {} });
  });
}

/** The topic is `outbox.event.<aggregatetype>`, the key of the message is the order's id: so its events keep their order. */
async function publish(client: PoolClient, orderId: string, { type, payload }: Event): Promise<void> {
  await client.query(`INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('order', $1, $2, $3)`, [
    orderId,
    type,
    payload,
  ]);
}

async function inTransaction(pool: Pool, work: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('BEGIN');
    await work(client);
    await client.query('COMMIT');
  } catch (error) {
    // What is left open is rolled back when the connection closes.
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    client.release(failure);
  }
}
