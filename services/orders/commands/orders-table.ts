import { createHash } from 'node:crypto';
import type { PoolClient } from 'pg';
import { queryText, type Database } from '#read-model/index.ts';
import { Problem } from '../../http/problems.ts';
import { itemsTable, ordersTable } from '../database/role.ts';
import type { Item, PricedItem } from './order-body.ts';

/** The statements of commands. All values are parameters; numbers go as texts, and Postgres reads every digit. */

/** An order as answers have it, and the strong ETag of exactly these bytes. */
export type OrderAnswer = { readonly json: string; readonly etag: string };

/** Columns that a command may set. `null` is a value; a column that is not there is left as it is. */
export type OrderColumns = {
  readonly customer_id?: string | undefined;
  readonly status?: string | null | undefined;
  readonly note?: string | null | undefined;
};

const types = { customer_id: 'bigint', status: 'text', note: 'text' } as const;
type ColumnName = keyof typeof types;
const columnNames: readonly ColumnName[] = ['customer_id', 'status', 'note'];

/** Times in ISO 8601 and UTC, bigint and numeric as texts: as the query API writes them. Null when there is no such order. */
export async function readOrder(database: Database, id: string): Promise<OrderAnswer | null> {
  const [row] = await queryText(
    database,
    `SELECT row_to_json(x)::text FROM (
       SELECT o.id::text, o.customer_id::text, o.status, o.note, o.placed_at, o.updated_at,
              coalesce((SELECT '[' || string_agg(row_to_json(y)::text, ',' ORDER BY y.id::bigint) || ']' FROM (
                SELECT i.id::text, i.product_id::text, i.quantity, i.unit_price::text, i.updated_at
                  FROM ${itemsTable} i WHERE i.order_id = o.id) y), '[]')::json AS items
         FROM ${ordersTable} o WHERE o.id = $1::bigint) x`,
    [id],
  );
  const json = row?.[0];
  return typeof json === 'string' ? { json, etag: etagOf(json) } : null;
}

function etagOf(json: string): string {
  return `"${createHash('sha256').update(json).digest('base64url').slice(0, 27)}"`;
}

/**
 * Locks an order and its items until the transaction ends, so that what was compared with If-Match is what is changed. The lock on the order also keeps
 * others from adding an item to it: that takes a lock of its foreign key.
 *
 * @returns the ids of its items
 * @throws Problem not-found
 */
export async function lockOrder(client: PoolClient, id: string): Promise<readonly string[]> {
  const orders = await queryText(client, `SELECT id FROM ${ordersTable} WHERE id = $1::bigint FOR UPDATE`, [id]);
  if (orders.length === 0) throw noOrder();
  const items = await queryText(client, `SELECT id FROM ${itemsTable} WHERE order_id = $1::bigint ORDER BY id FOR UPDATE`, [id]);
  return items.flatMap(([item]) => item ?? []);
}

export function noOrder(): Problem {
  return new Problem('not-found', 'The legacy system has no order of this id.');
}

/** @returns the order's id */
export async function insertOrder(client: PoolClient, columns: OrderColumns): Promise<string> {
  const given = columnNames.filter((name) => columns[name] !== undefined);
  const [row] = await queryText(
    client,
    `INSERT INTO ${ordersTable} (${given.join(', ')}) VALUES (${given.map((name, place) => `$${place + 1}::${types[name]}`).join(', ')}) RETURNING id`,
    given.map((name) => columns[name]),
  );
  return row?.[0] ?? '';
}

/**
 * Sets the columns that are given, and no other: what somebody else changes meanwhile in the others stays.
 *
 * @param reset columns that get the default that they have in the table
 */
export async function updateOrder(client: PoolClient, id: string, columns: OrderColumns, reset: readonly ColumnName[]): Promise<void> {
  const given = columnNames.filter((name) => columns[name] !== undefined && !reset.includes(name));
  const sets = [...given.map((name, place) => `${name} = $${place + 2}::${types[name]}`), ...reset.map((name) => `${name} = DEFAULT`)];
  if (sets.length === 0) return;
  await client.query(`UPDATE ${ordersTable} SET ${sets.join(', ')} WHERE id = $1::bigint`, [id, ...given.map((name) => columns[name])]);
}

export async function insertItems(client: PoolClient, order: string, items: readonly PricedItem[]): Promise<void> {
  if (items.length === 0) return;
  await client.query(
    `INSERT INTO ${itemsTable} (order_id, product_id, quantity, unit_price)
     SELECT $1::bigint, x.product, x.quantity, x.price
       FROM unnest($2::bigint[], $3::integer[], $4::numeric[]) WITH ORDINALITY AS x(product, quantity, price, n) ORDER BY x.n`,
    [order, items.map((item) => item.product_id), items.map((item) => item.quantity), items.map((item) => item.unit_price)],
  );
}

/** Makes the items of an order those that are given. One that stays as it was is not written. @throws Problem reference-unknown */
export async function replaceItems(
  client: PoolClient,
  order: string,
  existing: readonly string[],
  items: readonly PricedItem[],
): Promise<void> {
  const named = items.flatMap((item) => (item.id === undefined ? [] : [{ ...item, id: item.id }]));
  const strange = named.find(({ id }) => !existing.includes(id));
  if (strange !== undefined) throw new Problem('reference-unknown', `The order has no item ${strange.id}. A new item has no id.`);
  await client.query(`DELETE FROM ${itemsTable} WHERE order_id = $1::bigint AND id <> ALL ($2::bigint[])`, [
    order,
    named.map(({ id }) => id),
  ]);
  await client.query(
    `UPDATE ${itemsTable} i SET product_id = x.product, quantity = x.quantity, unit_price = x.price
       FROM unnest($2::bigint[], $3::bigint[], $4::integer[], $5::numeric[]) AS x(id, product, quantity, price)
      WHERE i.order_id = $1::bigint AND i.id = x.id
        AND (i.product_id, i.quantity, i.unit_price) IS DISTINCT FROM (x.product, x.quantity, x.price)`,
    [
      order,
      named.map(({ id }) => id),
      named.map((item) => item.product_id),
      named.map((item) => item.quantity),
      named.map((item) => item.unit_price),
    ],
  );
  await insertItems(client, order, items.filter(isNew));
}

function isNew({ id }: Item): boolean {
  return id === undefined;
}

/** Its items go with it, by the foreign key. */
export async function deleteOrder(client: PoolClient, id: string): Promise<void> {
  await client.query(`DELETE FROM ${ordersTable} WHERE id = $1::bigint`, [id]);
}
