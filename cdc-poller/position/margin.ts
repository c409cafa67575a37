import type { PollerConfig, PollerTableConfig } from '#pipeline/index.ts';
import type { Mark } from '../fence/floor.ts';
import type { TableShape } from '../source/table/table-shape.ts';

/**
 * How far below the clock or the highest id a poll reads: the margin of the fence, in µs, or the overlap of a window, in µs or in ids. A column that holds
 * whole seconds shows a row as up to a second older than it is, so its window is longer by that. Pure.
 */
export function marginOf({ capture, timestamps, columns }: TableShape, table: PollerTableConfig, { clockMarginMs }: PollerConfig): Mark {
  if (capture === 'time') return 1000n * BigInt(clockMarginMs);
  if (capture === 'id-window') return BigInt(table.overlapIds);
  if (capture !== 'window') return 0n;
  const grains = timestamps.map((index) => grainOf(columns[index]?.type.modifier ?? -1));
  return 1000n * BigInt(table.overlapMs) + grains.reduce((largest, grain) => (grain > largest ? grain : largest), 0n);
}

/** Of a timestamp with so many digits of the second, in µs. */
function grainOf(digits: number): bigint {
  return digits >= 0 && digits < 6 ? 10n ** BigInt(6 - digits) : 0n;
}
