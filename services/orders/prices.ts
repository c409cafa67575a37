import * as z from 'zod';
import { describeError, type Logger, type OrdersConfig } from '#pipeline/index.ts';
import { Problem } from '../http/problems.ts';
import type { CallContext } from '../http/request-ids.ts';
import { CallFailed } from '../http-client/call.ts';
import { createHttpClient } from '../http-client/client.ts';
import type { Guard } from '../resilience/guard.ts';
import type { Item, PricedItem } from './commands/order-body.ts';

/**
 * List prices of products, asked of the query API: the service's own role may read orders and nothing else. Where the query API cannot answer, or its answer
 * is not fresh, there is no price: the order is refused, and can be sent with prices. Whoever sends them needs no query API.
 */
export type Prices = {
  /** The items with a price each. `authorization`: of the caller, passed on. @throws Problem price-unavailable, reference-unknown, forbidden, body-invalid */
  priced(items: readonly Item[], asked: PriceAsked): Promise<readonly PricedItem[]>;
  readonly guard: Guard | null;
};

export type PriceAsked = { readonly authorization: string | undefined; readonly context: CallContext; readonly signal: AbortSignal };

const product = z.object({ price: z.string().regex(/^\d{1,10}(?:\.\d{1,2})?$/) });
/** A product is a small row. */
const answerMost = 65_536;

export function createPrices(settings: OrdersConfig['prices'], logger: Logger): Prices {
  const client = settings === undefined ? null : createHttpClient('query API', { ...settings, maxAnswerBytes: answerMost }, logger);
  return {
    guard: client?.guard ?? null,
    async priced(items, asked) {
      const wanted = [...new Set(items.filter(({ unit_price }) => unit_price === undefined).map((item) => item.product_id))];
      const known = new Map(await Promise.all(wanted.map(async (id) => [id, await priceOf(id, asked)] as const)));
      return items.map((item) => ({ ...item, unit_price: item.unit_price ?? known.get(item.product_id) ?? '' }));
    },
  };

  async function priceOf(id: string, { authorization, context, signal }: PriceAsked): Promise<string> {
    if (client === null) {
      const detail = 'is needed: this service has no address of list prices';
      throw new Problem('body-invalid', `unit_price ${detail}.`, { errors: [{ pointer: '/items', detail: `unit_price ${detail}` }] });
    }
    try {
      const { body, headers } = await client.call({
        method: 'GET',
        path: `/v1/products/${id}?fields=price`,
        answer: product,
        headers: authorization === undefined ? {} : { authorization },
        context,
        signal,
      });
      if (headers.get('freshness') === 'fresh') return body.price;
      throw unavailable(`The list price of product ${id} is ${headers.get('freshness') ?? 'of unknown age'} at the query API.`, undefined);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (error.status === 404)
        throw new Problem('reference-unknown', `The query API has no product ${id}. An item with a unit_price does not ask it.`);
      if (error.status === 401 || error.status === 403)
        throw new Problem('forbidden', 'The query API does not let this token read products. An item with a unit_price does not ask it.');
      logger.debug({ requestId: context.requestId, reason: describeError(error) }, 'a price could not be asked for');
      throw unavailable(`The list price of product ${id} cannot be asked for at present.`, error);
    }
  }
}

function unavailable(why: string, cause: unknown): Problem {
  return new Problem('price-unavailable', `${why} Send the items with unit_price, or ask again.`, { cause });
}
