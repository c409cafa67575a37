import { Controller, UseFilters } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { Poison, type Change } from 'legacy-cdc-bridge/sdk';
import { CdcContext } from './cdc.strategy.js';
import { UnchangedErrors } from './unchanged-errors.filter.js';

type Order = { readonly id: number; readonly customer_id: number; readonly status: string };
export type OrdersChange = Change<Order, { readonly id: number }>;

const known = new Set(['new', 'paid', 'shipped', 'cancelled']);

/** Counts each customer's orders: an effect that must not happen twice. */
@Controller()
@UseFilters(UnchangedErrors)
export class OrdersController {
  // Named <string>: else Nest's types would have it that a context is unknown.
  @EventPattern<string>('orders')
  async onOrder(@Payload() change: OrdersChange, @Ctx() { tx }: CdcContext): Promise<void> {
    if (change.op === 'truncate') throw new Poison(change, 'orders are never truncated: somebody must look at it');
    if (change.op === 'delete') {
      const { rows } = await tx.query<{ customer_id: string }>('DELETE FROM orders_seen WHERE order_id = $1 RETURNING customer_id', [
        change.key.id,
      ]);
      for (const { customer_id } of rows) await tx.query('UPDATE customers SET orders = orders - 1 WHERE customer_id = $1', [customer_id]);
      return;
    }
    const { id, customer_id, status } = change.after;
    if (!known.has(status)) throw new Poison(change, `order ${id} has the status ${status}, which this service does not know`);
    const { rowCount } = await tx.query('UPDATE orders_seen SET status = $2 WHERE order_id = $1', [id, status]);
    if (rowCount !== 0) return;
    await tx.query('INSERT INTO orders_seen VALUES ($1, $2, $3)', [id, customer_id, status]);
    await tx.query('INSERT INTO customers VALUES ($1, 1) ON CONFLICT (customer_id) DO UPDATE SET orders = customers.orders + 1', [
      customer_id,
    ]);
  }
}
