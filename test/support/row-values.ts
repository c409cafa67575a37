import type { Row, RowValues } from '#change-events/index.ts';

/** Names and values as the row that they are. */
export function toRow({ names, values }: RowValues): Row {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? null]));
}
