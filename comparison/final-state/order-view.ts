import type { Relation } from './relation.ts';

const key = { key: ['order_id'], keyOrder: ['integer'] } as const;

/** What the denormalised order view must hold, by the source's own join: written independently of the read model's. */
export const orderViewAtSource: Relation = {
  from: `(
    SELECT o.id AS order_id, o.status, o.placed_at, o.note, o.customer_id,
           c.name AS customer_name, c.email AS customer_email, c.tier AS customer_tier,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('id', i.id, 'product_id', i.product_id, 'sku', p.sku, 'name', p.name,
                                                         'quantity', i.quantity, 'unit_price', i.unit_price::text) ORDER BY i.id), '[]'::jsonb)
              FROM public.order_items i LEFT JOIN public.products p ON p.id = i.product_id
             WHERE i.order_id = o.id) AS items,
           (SELECT count(*) FROM public.order_items i WHERE i.order_id = o.id) AS item_count,
           (SELECT coalesce(sum(i.quantity * i.unit_price), 0) FROM public.order_items i WHERE i.order_id = o.id) AS total,
           o.updated_at
      FROM public.orders o LEFT JOIN public.customers c ON c.id = o.customer_id
  )`,
  ...key,
  columns: [
    'status',
    'placed_at',
    'note',
    'customer_id',
    'customer_name',
    'customer_email',
    'customer_tier',
    'items',
    'item_count',
    'total',
    'updated_at',
  ],
};

/** The view as a read model keeps it. */
export function orderViewInModel(quotedSchema: string): Relation {
  return { from: `${quotedSchema}.order_view`, ...key, columns: orderViewAtSource.columns };
}

/** The tables that the view is made of. */
export const orderViewTables = ['public.customers', 'public.products', 'public.orders', 'public.order_items'] as const;
