import type { Client } from 'pg';
import type { Pick, PooledTable } from './operation.ts';

const pooledTables = ['customers', 'products', 'orders', 'order_items'] as const satisfies readonly PooledTable[];

/** Ids in an order that depends on nothing but what was added and removed; every operation takes constant time. */
export class IdPool {
  readonly #ids: string[] = [];
  readonly #places = new Map<string, number>();

  get size(): number {
    return this.#ids.length;
  }

  at(pick: Pick): string | undefined {
    return this.#ids[Math.floor(pick * this.#ids.length)];
  }

  add(id: string): void {
    if (this.#places.has(id)) return;
    this.#places.set(id, this.#ids.length);
    this.#ids.push(id);
  }

  /** The last id takes the place of the removed one. */
  remove(id: string): void {
    const place = this.#places.get(id);
    const last = this.#ids.pop();
    if (place === undefined || last === undefined) {
      if (last !== undefined) this.#ids.push(last);
      return;
    }
    this.#places.delete(id);
    if (last === id) return;
    this.#ids[place] = last;
    this.#places.set(last, place);
  }
}

/** The rows that the workload knows to exist, as far as its own committed transactions show. */
export type RowPools = Readonly<Record<PooledTable, IdPool>>;

/** Fills the pools with the newest `limit` rows of each table, oldest first. */
export async function loadRowPools(client: Client, limit = 50_000): Promise<RowPools> {
  const pools = { customers: new IdPool(), products: new IdPool(), orders: new IdPool(), order_items: new IdPool() };
  for (const table of pooledTables) {
    const { rows } = await client.query<{ id: string }>(`SELECT id FROM public.${table} ORDER BY id DESC LIMIT $1`, [limit]);
    for (const { id } of rows.toReversed()) pools[table].add(id);
  }
  return pools;
}
