import * as z from 'zod';

/** An instant with its zone or offset; a date alone would be guessed at. */
export const instant = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$/, 'expected a time as 2026-01-31T00:00:00Z');

export const timeZone = z.string().refine(isTimeZone, 'expected the name of a time zone, as Europe/Berlin or UTC');

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
