import type { ChangeEvent } from './change-event.ts';
import { parseTableId, topicName, type TableId } from './topic-name.ts';

/**
 * How far capture has come, said by capture itself: an event of the table `cdc.heartbeat`, under either strategy. It comes in the order of
 * the changes: when it can be read, everything that was committed in the source before its `beat_at` (the source's clock) can be read too.
 * From the log it speaks of every table; a poller beats for each table apart, with the table's name as `id`.
 */
export const heartbeatTable: TableId = { schema: 'cdc', table: 'heartbeat' };

export type Heartbeat = {
  /** `schema.table`; null when it speaks of all that the strategy captures. */
  readonly table: string | null;
  /** ms since the epoch of the source's clock, rounded down. */
  readonly provenTo: number;
};

export function heartbeatTopic(prefix: string): string {
  return topicName(prefix, heartbeatTable);
}

/** With a zone: what has none would be read as this machine's local time. */
const instant = /^[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d.*(?:Z|[+-]\d\d:?\d\d)$/;

/**
 * The heartbeat that an event is; null for one that proves nothing: a row read by a snapshot has no order among the other tables', and what
 * names neither a table nor the log's one row may be anything.
 */
export function heartbeatOf({ op, after }: ChangeEvent): Heartbeat | null {
  if ((op !== 'c' && op !== 'u') || after === null) return null;
  const { id, beat_at: beatAt } = after;
  const provenTo = typeof beatAt === 'string' && instant.test(beatAt) ? Date.parse(beatAt) : Number.NaN;
  if (Number.isNaN(provenTo)) return null;
  const table = typeof id === 'string' && isTable(id) ? id : null;
  if (table === null && typeof id !== 'number' && typeof id !== 'bigint') return null;
  return { table, provenTo: Math.floor(provenTo) };
}

function isTable(text: string): boolean {
  try {
    parseTableId(text);
    return true;
  } catch {
    return false;
  }
}
