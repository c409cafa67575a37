import { queryConnector, stringifyLossless, topicName, type JsonValue } from '#change-events/index.ts';
import type { OutgoingMessage } from '#kafka/index.ts';

/** Events of the contract as Debezium (or the poller) would write them, for the tables of the order system. */
export type Columns = { readonly [column: string]: JsonValue };

let lsn = 1_000_000;

type EventOptions = {
  readonly table: string;
  readonly op: 'c' | 'u' | 'd' | 'r' | 't';
  readonly before?: Columns | null;
  readonly after?: Columns | null;
  readonly lsn?: number | null;
};

/** The value of an event; the log position grows with every call. */
export function eventValue({ table, op, before = null, after = null, lsn: at }: EventOptions): string {
  lsn += 8;
  return stringifyLossless({
    before,
    after,
    source: { connector: queryConnector, name: 'test', db: 'legacy', schema: 'public', table, txId: 1, lsn: at === undefined ? lsn : at },
    op,
    ts_ms: 1,
    transaction: null,
  });
}

export function nextLsn(): number {
  lsn += 8;
  return lsn;
}

/** The two events of an update of a row's key, as Debezium writes them: a delete, its tombstone, and the row under its new key. */
export function rekey(
  table: string,
  from: number,
  row: Columns & { readonly id: number },
): { leaves: OutgoingMessage[]; comes: OutgoingMessage } {
  const at = nextLsn();
  const [old, now] = [key(from), key(row.id)];
  const headers = { '__debezium.newkey': now };
  return {
    leaves: [
      { key: old, value: eventValue({ table, op: 'd', before: { id: from }, lsn: at }), headers },
      { key: old, value: null, headers },
    ],
    comes: { key: now, value: eventValue({ table, op: 'c', after: row, lsn: at }), headers: { '__debezium.oldkey': old } },
  };
}

function key(id: number | bigint): string {
  return `{"id":${id}}`;
}

export function upsert(table: string, row: Columns & { readonly id: number | bigint }, op: 'c' | 'u' | 'r' = 'c'): OutgoingMessage {
  return { key: key(row.id), value: eventValue({ table, op, after: row }) };
}

/** A delete with the before-image that the log has, and its tombstone. */
export function remove(table: string, id: number | bigint): OutgoingMessage[] {
  return [{ key: key(id), value: eventValue({ table, op: 'd', before: { id } }) }, tombstone(id)];
}

export function tombstone(id: number | bigint): OutgoingMessage {
  return { key: key(id), value: null };
}

export function truncation(table: string): OutgoingMessage {
  return { key: null, value: eventValue({ table, op: 't' }) };
}

export function topicOf(prefix: string, table: string): string {
  return topicName(prefix, { schema: 'public', table });
}

const at = '2026-11-22T15:00:00.123456Z';

export function customer(id: number, name = `customer ${id}`, tier = 'basic'): Columns & { readonly id: number } {
  return { id, email: `c${id}@example.test`, name, tier, credit_limit: '1000.00', created_at: at, updated_at: at };
}

export function product(id: number, name = `product ${id}`): Columns & { readonly id: number } {
  return { id, sku: `SKU-${id}`, name, description: 'long', price: '9.99', active: true, updated_at: at };
}

export function order(id: number, customerId: number, status = 'new'): Columns & { readonly id: number } {
  return { id, customer_id: customerId, status, note: null, placed_at: at, updated_at: at };
}

export function item(id: number, orderId: number, productId: number, quantity = 1, price = '2.50'): Columns & { readonly id: number } {
  return { id, order_id: orderId, product_id: productId, quantity, unit_price: price, updated_at: at };
}
