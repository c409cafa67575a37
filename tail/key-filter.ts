import { parseLossless, stringifyLossless, type JsonValue } from '#change-events/index.ts';
import type { TailEvent } from './read-event.ts';

/** Whether an event is of the row with this key: as it is printed, or as JSON with its columns in any order. What has no key that can be read is of none. */
export function isOfKey(event: TailEvent, asked: string): boolean {
  if (event.key === null) return false;
  if (event.key === asked) return true;
  const row = event.kind === 'unreadable' ? null : event.keyRow;
  return row !== null && sorted(row) === sortedText(asked);
}

function sortedText(text: string): string | null {
  try {
    return sorted(parseLossless(text));
  } catch {
    return null;
  }
}

function sorted(value: JsonValue): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return stringifyLossless(Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))));
}
