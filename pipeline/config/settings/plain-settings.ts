import * as z from 'zod';

/** Settings that others are made of. After interpolation every scalar may be a string. */

/** A whole number, or the text of one. Not coerced: a setting left empty, or `true`, is not a number. */
export const int = (minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^-?\d+$/.test(value.trim()) ? Number(value) : value),
    z
      .int(`expected a whole number from ${minimum}${maximum === Number.MAX_SAFE_INTEGER ? '' : ` to ${maximum}`}`)
      .min(minimum)
      .max(maximum),
  );

export const name = z.string().min(1);

/** No name that a database takes. */
const hidden = '\u0000__proto__';

/**
 * A map by names that somebody else gives, such as columns. zod leaves the member `__proto__` out without a word, and a column may be called so: what is
 * set for it would not hold.
 */
export const byName = <Value extends z.ZodType>(key: z.ZodString, value: Value) =>
  z
    .preprocess((written) => renamed(written, '__proto__', hidden), z.record(key, value))
    .transform((read) => Object.fromEntries(Object.entries(read).map(([one, setting]) => [one === hidden ? '__proto__' : one, setting])));

function renamed(value: unknown, from: string, to: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, from)) return value;
  return Object.fromEntries(Object.entries(value).map(([one, member]: [string, unknown]) => [one === from ? to : one, member]));
}

export const flag = z.stringbool().or(z.boolean());
