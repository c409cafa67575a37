import { parseMicros } from '../fence/micros.ts';
import type { Start } from './position.ts';

/** `startFrom` of the configuration: `everything`, `now`, a time with its offset, or an id. Pure. */
export function startOf(text: string): Start {
  if (text === 'everything' || text === 'now') return text;
  if (/^-?\d+$/.test(text)) return { from: BigInt(text) };
  const from = parseMicros(text);
  if (from === null) throw new RangeError(`not a time: ${text}`);
  return { from };
}
