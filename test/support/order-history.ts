import type { OutgoingMessage } from '#kafka/index.ts';
import { customer, item, order, product, remove, upsert, type Columns } from './order-events.ts';

/** A seeded source of whole numbers below a bound (mulberry32): a test that prints its seed can be repeated. */
export function randomBelow(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = Math.trunc(state + 0x6d2b79f5);
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

export type History = {
  /** The next `count` changes, as the messages of each table in their order. */
  next(count: number): Map<string, OutgoingMessage[]>;
  /** What the tables hold after all of them. */
  readonly tables: ReadonlyMap<string, ReadonlyMap<number, Columns>>;
  /** Messages made so far, tombstones included. */
  messages(): number;
};

type Made = Columns & { readonly id: number };

/** A random life of the order system over few ids, so that rows change, go and come back often, and items move between orders. */
export function orderHistory(seed: number, ids = 40): History {
  const below = randomBelow(seed);
  const tables = new Map<string, Map<number, Columns>>();
  const makers: readonly (readonly [string, number, (id: number, salt: number) => Made])[] = [
    ['customers', 10, (id, salt) => customer(id, `name ${salt}`)],
    ['products', 10, (id, salt) => product(id, `product ${salt}`)],
    ['orders', ids, (id, salt) => order(id, salt % 10, `status ${salt}`)],
    ['order_items', ids * 3, (id, salt) => item(id, salt % ids, salt % 10, 1 + (salt % 5), `${salt % 100}.05`)],
  ];
  let made = 0;
  const change = (): readonly [string, OutgoingMessage[]] => {
    // Half of the changes concern items, as in life.
    const [table, bound, make] = makers[Math.min(3, below(6))] ?? makers[3] ?? ['none', 1, (id: number) => customer(id)];
    const rows = tables.get(table) ?? new Map<number, Columns>();
    tables.set(table, rows);
    const id = below(bound);
    if (rows.has(id) && below(4) === 0) {
      rows.delete(id);
      return [table, remove(table, id)];
    }
    const row = make(id, below(100_000));
    const op = rows.has(id) ? 'u' : 'c';
    rows.set(id, row);
    return [table, [upsert(table, row, op)]];
  };
  return {
    tables,
    messages: () => made,
    next(count) {
      const byTable = new Map<string, OutgoingMessage[]>();
      for (let index = 0; index < count; index += 1) {
        const [table, messages] = change();
        byTable.set(table, [...(byTable.get(table) ?? []), ...messages]);
        made += messages.length;
      }
      return byTable;
    },
  };
}
