import { createHash } from 'node:crypto';
import { orderView } from './order-view.ts';
import type { Projection } from './projection.ts';

/** Every view that a model keeps beside its mirrors. A further one is one file like order-view.ts, its table in sql/, and its line here. */
export const projections: readonly Projection[] = [orderView];

/**
 * What the rows of views were made by: their SQL, white space apart. A model whose fingerprint differs was filled by other projections
 * and must be rebuilt.
 */
export function fingerprint(all: readonly Projection[] = projections): string {
  return createHash('sha256')
    .update(JSON.stringify(all).replaceAll(/(?:\\n|\s)+/g, ' '))
    .digest('hex')
    .slice(0, 16);
}
