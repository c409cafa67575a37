import type { Client } from 'pg';
import type { ItemToOrder, Pick, PooledTable, Step, Transaction, Values } from './operation.ts';
import { pause } from '#pipeline/index.ts';
import type { RowPools } from './row-pools.ts';

/** What a transaction did, as its own application sees it. */
export type TransactionReport = {
  readonly savepointsReleased: number;
  readonly savepointsRolledBack: number;
  /** Steps that found their row gone, or no row to choose. */
  readonly rowsGone: number;
};

/** Chooses the row for a pick: the same row for the same pick within one operation. */
export type ChooseRow = (table: PooledTable, pick: Pick) => string | undefined;

type Effect = { readonly pool: PooledTable; readonly id: string; readonly change: 'add' | 'remove' };

/** What is known only until the end of the transaction. */
type Session = {
  readonly client: Client;
  readonly choose: ChooseRow;
  effects: Effect[];
  depth: number;
  savepointsReleased: number;
  savepointsRolledBack: number;
  rowsGone: number;
};

/**
 * Runs one planned transaction from BEGIN to its ending. The pools hear of its rows after the commit only. An abort cuts the time it is
 * held open, not its ending. On an error the caller rolls back.
 */
export async function runTransaction(
  client: Client,
  transaction: Transaction,
  pools: RowPools,
  choose: ChooseRow,
  signal: AbortSignal,
): Promise<TransactionReport> {
  const session: Session = { client, choose, effects: [], depth: 0, savepointsReleased: 0, savepointsRolledBack: 0, rowsGone: 0 };
  await client.query('BEGIN');
  for (const step of transaction.steps) await runStep(session, step);
  if (transaction.holdMs > 0) await pause(transaction.holdMs, signal);
  if (transaction.ending === 'rollback') {
    await client.query('ROLLBACK');
  } else {
    await client.query('COMMIT');
    for (const { pool, id, change } of session.effects) pools[pool][change](id);
  }
  const { savepointsReleased, savepointsRolledBack, rowsGone } = session;
  return { savepointsReleased, savepointsRolledBack, rowsGone };
}

async function runStep(session: Session, step: Step): Promise<void> {
  switch (step.do) {
    case 'place-order':
      return placeOrder(session, step.customer, step.note, step.items);
    case 'insert':
      return insert(session, step.table, step.values);
    case 'update':
      return update(session, step.table, step.row, step.values);
    case 'add-item': {
      const order = session.choose('orders', step.order);
      if (order === undefined) return missed(session);
      return addItem(session, order, step.item);
    }
    case 'cancel-order':
      return cancelOrder(session, step.order, step.leaveItemsToForeignKey);
    case 'remove-item':
      return remove(session, 'order_items', session.choose('order_items', step.item));
    case 'savepoint':
      return runSavepoint(session, step.steps, step.ending);
  }
}

async function placeOrder(session: Session, customer: Pick, note: string | null, items: readonly ItemToOrder[]): Promise<void> {
  const customerId = session.choose('customers', customer);
  if (customerId === undefined) return missed(session);
  const order = await insertReturningId(
    session,
    'orders',
    "INSERT INTO public.orders (customer_id, status, note) VALUES ($1, 'new', $2) RETURNING id",
    [customerId, note],
  );
  // One statement an item, as an object mapper does.
  if (order !== undefined) for (const item of items) await addItem(session, order, item);
}

async function addItem(session: Session, order: string, item: ItemToOrder): Promise<void> {
  const product = session.choose('products', item.product);
  const sql = `INSERT INTO public.order_items (order_id, product_id, quantity, unit_price)
    SELECT $1, id, $2, price FROM public.products WHERE id = $3 RETURNING id`;
  if (product === undefined) missed(session);
  else await insertReturningId(session, 'order_items', sql, [order, item.quantity, product]);
}

async function insert(session: Session, table: PooledTable, values: Values): Promise<void> {
  const columns = Object.keys(values);
  const places = columns.map((_column, index) => `$${index + 1}`);
  const sql = `INSERT INTO public.${table} (${columns.join(', ')}) VALUES (${places.join(', ')}) RETURNING id`;
  await insertReturningId(session, table, sql, Object.values(values));
}

async function insertReturningId(
  session: Session,
  table: PooledTable,
  sql: string,
  values: readonly unknown[],
): Promise<string | undefined> {
  const { rows } = await session.client.query<{ id: string }>(sql, [...values]);
  const id = rows[0]?.id;
  if (id === undefined) missed(session);
  else session.effects.push({ pool: table, id, change: 'add' });
  return id;
}

async function update(session: Session, table: PooledTable, row: Pick, values: Values): Promise<void> {
  const id = session.choose(table, row);
  if (id === undefined) return missed(session);
  const assignments = Object.keys(values).map((column, index) => `${column} = $${index + 2}`);
  const sql = `UPDATE public.${table} SET ${assignments.join(', ')} WHERE id = $1`;
  const { rowCount } = await session.client.query(sql, [id, ...Object.values(values)]);
  if (rowCount === 0) gone(session, table, id);
}

async function cancelOrder(session: Session, order: Pick, leaveItemsToForeignKey: boolean): Promise<void> {
  const id = session.choose('orders', order);
  if (id !== undefined && !leaveItemsToForeignKey) {
    const sql = 'DELETE FROM public.order_items WHERE order_id = $1 RETURNING id';
    const { rows } = await session.client.query<{ id: string }>(sql, [id]);
    for (const item of rows) session.effects.push({ pool: 'order_items', id: item.id, change: 'remove' });
  }
  await remove(session, 'orders', id);
}

async function remove(session: Session, table: PooledTable, id: string | undefined): Promise<void> {
  if (id === undefined) return missed(session);
  const { rowCount } = await session.client.query(`DELETE FROM public.${table} WHERE id = $1`, [id]);
  if (rowCount === 0) return gone(session, table, id);
  session.effects.push({ pool: table, id, change: 'remove' });
}

async function runSavepoint(session: Session, steps: readonly Step[], ending: 'release' | 'rollback'): Promise<void> {
  session.depth += 1;
  const name = `step_${session.depth}`;
  const effectsBefore = session.effects.length;
  await session.client.query(`SAVEPOINT ${name}`);
  for (const step of steps) await runStep(session, step);
  if (ending === 'rollback') {
    await session.client.query(`ROLLBACK TO SAVEPOINT ${name}`);
    session.effects = session.effects.slice(0, effectsBefore);
    session.savepointsRolledBack += 1;
  } else {
    session.savepointsReleased += 1;
  }
  await session.client.query(`RELEASE SAVEPOINT ${name}`);
  session.depth -= 1;
}

function missed(session: Session): void {
  session.rowsGone += 1;
}

function gone(session: Session, table: PooledTable, id: string): void {
  missed(session);
  session.effects.push({ pool: table, id, change: 'remove' });
}
