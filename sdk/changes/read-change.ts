import { formatTableId, type ChangeEvent, type EventDecoder, type MessagePlace, type Row } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { formatPosition, isUnavailable } from '#read-model/engine/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { Change, ChangePlace } from './change.ts';

/**
 * Reads one message. A tombstone is read as a delete: whether it only follows one is for whoever sees the messages before it.
 *
 * @param table the topic's table, for a message that does not name it
 * @throws CdcError EVENT_UNDECODABLE that names topic, partition and offset
 */
export function readChange(decoder: EventDecoder, { topic, partition }: TopicPartition, message: ConsumedMessage, table: string): Change {
  const { offset } = message;
  const place: MessagePlace = { topic, partition, offset: String(offset) };
  const event = decoder.decodeChangeEvent(message.value, place);
  const key = decoder.decodeKey(message.key, place);
  const from: ChangePlace = {
    topic,
    partition,
    offset,
    table: event === null ? table : formatTableId({ schema: event.source.schema, table: event.source.table }),
    position: formatPosition(new Map([[`${topic}/${partition}`, offset + 1n]])),
    at: event === null ? null : timeOf(event.source),
  };
  if (event === null) {
    if (key === null) throw undecodable(place, 'neither key nor value');
    return { ...from, op: 'delete', key, before: null, after: null };
  }
  switch (event.op) {
    case 't':
      return { ...from, op: 'truncate', key: null, before: null, after: null };
    case 'd':
      return { ...from, op: 'delete', key, before: event.before, after: null };
    case 'u':
      return { ...from, op: 'update', key, before: event.before, ...written(event, place) };
    case 'c':
    case 'r':
      return { ...from, op: event.op === 'c' ? 'create' : 'read', key, before: null, ...written(event, place) };
  }
}

/** What the log left out as unchanged is taken from the row before, where that is whole. */
function written({ before, after }: ChangeEvent, place: MessagePlace): { readonly after: Row; readonly unchanged: readonly string[] } {
  if (after === null) throw undecodable(place, 'no row after the change');
  const missing = Object.keys(after).filter((column) => isUnavailable(after[column] ?? null));
  if (missing.length === 0) return { after, unchanged: [] };
  const row: Record<string, Row[string]> = { ...after };
  const unchanged: string[] = [];
  for (const column of missing) {
    const had = before !== null && Object.hasOwn(before, column) ? before[column] : undefined;
    if (had !== undefined && !isUnavailable(had)) row[column] = had;
    else {
      delete row[column];
      unchanged.push(column);
    }
  }
  return { after: row, unchanged };
}

function timeOf({ ts_us: us, ts_ms: ms }: ChangeEvent['source']): string | null {
  const micros =
    us !== null && us !== undefined ? BigInt(us) : ms !== null && ms !== undefined && Number.isSafeInteger(ms) ? BigInt(ms) * 1000n : null;
  if (micros === null) return null;
  // Toward the past: what is left is never negative.
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((micros - rest) / 1000n));
  if (Number.isNaN(seconds.getTime())) return null;
  return seconds.toISOString().replace('000Z', `${String(rest).padStart(6, '0')}Z`);
}

function undecodable({ topic, partition, offset }: MessagePlace, why: string): CdcError {
  return new CdcError('EVENT_UNDECODABLE', `the event at topic ${topic}, partition ${partition}, offset ${offset} has ${why}`);
}
