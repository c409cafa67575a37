import { unavailableValue } from '#change-events/index.ts';
import type { OutgoingMessage } from '#kafka/index.ts';
import { customer, eventValue, item, order, product, remove, upsert, type Columns } from './order-events.ts';
import type { ReadDatabase } from './read-database.ts';

/** A change of the source that a property test draws; numbers are taken modulo what there is. */
export type Operation = {
  readonly kind: 'upsert' | 'delete' | 'rekey' | 'truncate';
  readonly table: number;
  readonly id: number;
  readonly salt: number;
};

export const partitions = 2;

const tables = ['customers', 'products', 'orders', 'order_items'] as const;
type Table = (typeof tables)[number];
type Made = Columns & { readonly id: number };

/** Few ids, so that rows change, go and come back often, and items and orders find each other. */
const ids = { customers: 3, products: 3, orders: 8, order_items: 6 } satisfies Record<Table, number>;

const make: Record<Table, (id: number, salt: number) => Made> = {
  customers: (id, salt) => customer(id, `name ${salt}`),
  products: (id, salt) => ({ ...product(id, `product ${salt}`), description: `text ${salt % 3}` }),
  orders: (id, salt) => order(id, salt % ids.customers, `status ${salt}`),
  order_items: (id, salt) => item(id, salt % ids.orders, salt % ids.products, 1 + (salt % 5), `${salt % 100}.05`),
};

/** A source of four real tables, and the log of what happened to it: the messages of each table's partitions. */
export type SourceWorld = {
  /** By table and partition: `orders/1`. */
  readonly log: ReadonlyMap<string, readonly OutgoingMessage[]>;
  /** Changes the source, and writes to the log what its capture would. */
  change(operation: Operation): Promise<void>;
};

/** Makes the source's tables (once) and empties them. They lie in schema `source` of `read`'s database, copies of the mirrors without `_lsn`. */
export async function createSourceWorld(read: ReadDatabase): Promise<SourceWorld> {
  await read.query('CREATE SCHEMA IF NOT EXISTS source');
  for (const table of tables) {
    await read.query(`CREATE TABLE IF NOT EXISTS source.${table} (LIKE model.${table} INCLUDING INDEXES)`);
    await read.query(`ALTER TABLE source.${table} DROP COLUMN IF EXISTS _lsn`);
    await read.query(`TRUNCATE source.${table}`);
  }
  const log = new Map<string, OutgoingMessage[]>();
  for (const table of tables) for (let number = 0; number < partitions; number += 1) log.set(`${table}/${number}`, []);
  const rows = new Map<Table, Map<number, Made>>(tables.map((table) => [table, new Map()]));
  const write = (table: Table, id: number, messages: readonly OutgoingMessage[]): void => {
    log.get(`${table}/${id % partitions}`)?.push(...messages);
  };

  const put = async (table: Table, row: Made): Promise<void> => {
    const before = rows.get(table)?.get(row.id);
    rows.get(table)?.set(row.id, row);
    const names = Object.keys(row);
    const values = names.map((_, index) => `$${index + 1}`);
    const sets = names.map((name) => `${name} = EXCLUDED.${name}`);
    await read.query(
      `INSERT INTO source.${table} (${names.join(', ')}) VALUES (${values.join(', ')}) ON CONFLICT (id) DO UPDATE SET ${sets.join(', ')}`,
      Object.values(row),
    );
    // The log leaves a TOAST column out that an update did not touch.
    const kept = before !== undefined && before['description'] !== undefined && before['description'] === row['description'];
    write(table, row.id, [upsert(table, kept ? { ...row, description: unavailableValue } : row, before === undefined ? 'c' : 'u')]);
  };
  const drop = async (table: Table, id: number): Promise<void> => {
    if (rows.get(table)?.delete(id) !== true) return;
    await read.query(`DELETE FROM source.${table} WHERE id = $1`, [id]);
    write(table, id, remove(table, id));
  };

  return {
    log,
    async change({ kind, table: tableNumber, id: idNumber, salt }) {
      const table = tables[tableNumber % tables.length] ?? 'orders';
      const id = idNumber % ids[table];
      const row = rows.get(table)?.get(id);
      if (kind === 'upsert') await put(table, make[table](id, salt));
      else if (kind === 'delete') await drop(table, id);
      else if (kind === 'rekey') {
        if (row === undefined) return;
        const other = salt % ids[table];
        if (rows.get(table)?.has(other) === true) return;
        await drop(table, id);
        await put(table, { ...row, id: other });
      } else {
        rows.get(table)?.clear();
        await read.query(`TRUNCATE source.${table}`);
        write(table, 0, [{ key: null, value: eventValue({ table, op: 't' }) }]);
      }
    },
  };
}
