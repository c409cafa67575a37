import * as z from 'zod';
import { Problem } from '../../http/problems.ts';

/** What the bodies of commands are. Ids and money are texts, so that no digit is lost in any client. Pure. */

const idMost = 9_223_372_036_854_775_807n;
/** A positive bigint. */
export const orderId = z
  .string('expected a string of digits: ids are texts')
  .regex(/^[1-9]\d{0,18}$/, 'expected digits, as "4711"')
  .refine((text) => !/^\d+$/.test(text) || BigInt(text) <= idMost, 'is larger than any id')
  .meta({ example: '1' });

/** numeric(12, 2), with no digit that would be rounded away. */
const money = z
  .string('expected a string: money is text, so that no digit is lost')
  .regex(/^(?:0|[1-9]\d{0,9})(?:\.\d{1,2})?$/, 'expected up to 10 digits and up to 2 behind the point, as "19.90"')
  .meta({ example: '19.90' });

/** Postgres takes every character but NUL, and UTF-8 has none for half a surrogate pair. */
const text = z
  .string()
  .max(10_000)
  .refine((value) => !value.includes('\u0000') && value.isWellFormed(), 'has a character that a text cannot have');

const status = z.enum(['new', 'paid', 'packed', 'shipped', 'delivered', 'returned']);
const quantity = z.int().min(1).max(2_147_483_647);

const newItem = z.strictObject({
  product_id: orderId,
  quantity,
  unit_price: money.optional().describe('Left out: the list price of the product, as the query API has it.'),
});
const changedItem = newItem.extend({ id: orderId.optional().describe('An item that the order has. Left out: a new item.') });

/** @param maxItems most items of an order */
export function orderBodies(maxItems: number) {
  const changedItems = z
    .array(changedItem)
    .min(1)
    .max(maxItems)
    .refine((list) => areApart(list.flatMap(({ id }) => id ?? [])), 'names an item twice');
  return {
    post: z.strictObject({
      customer_id: orderId,
      status: status.optional(),
      note: text.nullable().optional(),
      items: z.array(newItem).min(1).max(maxItems),
    }),
    put: z.strictObject({
      customer_id: orderId,
      status: status.optional().describe('Left out: reset to its default.'),
      note: text.nullable().optional().describe('Left out: reset to its default.'),
      items: changedItems.describe('All items of the order: one that is not named is deleted.'),
    }),
    /** A JSON merge patch (RFC 7396): null removes, which is the default of the column. What must be there cannot be removed. */
    patch: z.strictObject({
      customer_id: orderId.optional(),
      status: status.nullable().optional().describe('null: reset to its default.'),
      note: text.nullable().optional(),
      items: changedItems.optional().describe('Replaced as a whole: an item that is not named is deleted.'),
    }),
  } as const;
}

export type Item = z.output<typeof changedItem>;
/** An item whose price is known. */
export type PricedItem = Item & { readonly unit_price: string };

/** @throws Problem body-invalid, with all that is wrong */
export function readBody<Body>(schema: z.ZodType<Body>, body: unknown): Body {
  const { success, data, error } = schema.safeParse(body ?? null);
  if (success) return data;
  const errors = error.issues.flatMap(({ path, message, ...issue }) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ pointer: pointerOf([...path, key]), detail: 'there is no such member' }))
      : [{ pointer: pointerOf(path), detail: message }],
  );
  const [first] = errors;
  throw new Problem('body-invalid', `${first?.pointer === '' ? 'The body' : first?.pointer}: ${first?.detail}.`, { errors });
}

/** RFC 6901. */
function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function areApart(ids: readonly string[]): boolean {
  return new Set(ids).size === ids.length;
}
