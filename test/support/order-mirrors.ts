import type { ClientConfig } from 'pg';
import { migrate, projectionFilesOf, type WantedMirror } from '#read-model/index.ts';
import { repositoryRoot } from './house-repository.ts';

const columnsOf: Readonly<Record<string, string>> = {
  customers: 'id bigint, email text, name text, tier text, credit_limit numeric, created_at timestamptz, updated_at timestamptz',
  products: 'id bigint, sku text, name text, description text, price numeric, active boolean, updated_at timestamptz',
  orders: 'id bigint, customer_id bigint, status text, note text, placed_at timestamptz, updated_at timestamptz',
  order_items: 'id bigint, order_id bigint, product_id bigint, quantity integer, unit_price numeric, updated_at timestamptz',
};

/** The mirrors of the order system, as they come out of its catalogue. */
export const orderMirrors: readonly WantedMirror[] = Object.entries(columnsOf).map(([table, list]) => ({
  source: { schema: 'public', table },
  table,
  columns: list.split(', ').map((column) => ({ name: column.split(' ')[0] ?? '', type: column.split(' ')[1] ?? '' })),
  key: ['id'],
  deletes: 'remove',
  history: false,
  follows: true,
}));

/** The projection of this repository's own project, which is the order system's. */
export const orderView = await projectionFilesOf(repositoryRoot, undefined);

/** A model's schema with the mirrors and the view of the order system; of other mirrors without a view. */
export async function migrateOrders(
  config: ClientConfig,
  schema: string,
  mirrors: readonly WantedMirror[] = orderMirrors,
  projections = mirrors === orderMirrors ? orderView : [],
): Promise<void> {
  await migrate(config, { schema, asked: { topicPrefix: 'test', mirrors, projections } });
}
