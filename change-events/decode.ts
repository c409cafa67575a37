import { isUtf8 } from 'node:buffer';
import { CdcError, describeError } from '#pipeline/index.ts';
import * as z from 'zod';
import { changeEventSchema, isRow, toRowValues, type ChangeEvent, type Operation, type Row, type RowValues } from './change-event.ts';
import { deepestLevel, isTooDeep, parseLossless, type JsonValue } from './lossless-json.ts';
import { rowAt, scanEvent, type ScanMemory } from './scan/scan-event.ts';

/** The place of a message in Kafka; errors name it. `schemaId` is that of its bytes, where they carry one. */
export type MessagePlace = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly schemaId?: number | undefined;
};

export function undecodable(
  what: string,
  place: MessagePlace,
  options: { readonly cause?: unknown; readonly remedy?: string } = {},
): CdcError {
  const { topic, partition, offset, schemaId } = place;
  const schema = schemaId === undefined ? '' : `, schema id ${schemaId}`;
  return new CdcError('EVENT_UNDECODABLE', `${what} at topic ${topic}, partition ${partition}, offset ${offset}${schema}`, options);
}

function parse(bytes: Buffer, what: string, place: MessagePlace): JsonValue {
  if (!isUtf8(bytes)) throw undecodable(`the ${what} is not UTF-8`, place);
  if (isTooDeep(bytes)) throw undecodable(`the ${what} has more than ${deepestLevel} levels inside one another`, place);
  try {
    return parseLossless(bytes.toString('utf8'));
  } catch (error) {
    throw undecodable(`the ${what} is not JSON (${describeError(error)})`, place, { cause: error });
  }
}

/**
 * Decodes a message's value. Integers keep every digit. A tombstone (null value) gives null.
 *
 * @throws CdcError EVENT_UNDECODABLE that names topic, partition and offset
 */
export function decodeChangeEvent(value: Buffer | null, place: MessagePlace): ChangeEvent | null {
  return value === null ? null : toChangeEvent(parse(value, 'value', place), place);
}

/** The change event that a value is. @throws CdcError EVENT_UNDECODABLE */
export function toChangeEvent(value: JsonValue, place: MessagePlace): ChangeEvent {
  const parsed = changeEventSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = z.prettifyError(parsed.error).replaceAll('\n', ' ');
  throw undecodable(`the value is not a change event (${why})`, place, { cause: parsed.error });
}

/** The part of a {@link ChangeEvent} that says what becomes of the row. */
export type RowChange = {
  readonly op: Operation;
  readonly after: RowValues | null;
  /** The row before the change. @throws CdcError EVENT_UNDECODABLE */
  readonly before: () => Row | null;
  /** The log's position; null when the strategy knows none. */
  readonly lsn: number | bigint | null;
};

/**
 * {@link decodeChangeEvent} for whoever reads many events and of each only what becomes of the row: several times faster, with the same
 * values and the same errors. Of the members that it leaves out it only sees that brackets and quotes match.
 *
 * @param memory of events of the same topic that were read before
 * @throws CdcError EVENT_UNDECODABLE that names topic, partition and offset
 */
export function decodeRowChange(value: Buffer | null, place: MessagePlace, memory: ScanMemory): RowChange | null {
  if (value === null) return null;
  // A reader of text would put something else in the place of what it cannot read.
  if (!isUtf8(value)) throw undecodable('the value is not UTF-8', place);
  const scanned = scanEvent(value, memory);
  if (scanned === null) return toRowChange(toChangeEvent(parse(value, 'value', place), place));
  const { op, after, lsn, before } = scanned;
  return { op, after, lsn, before: () => (before === null ? null : (rowAt(value, before) ?? malformed(value, place))) };
}

/** What a whole event says of its row: {@link decodeRowChange} for whoever needs the whole event too. */
export function toRowChange({ op, after, before, source }: ChangeEvent): RowChange {
  return { op, after: after === null ? null : toRowValues(after), before: () => before, lsn: source.lsn ?? null };
}

/** The full decoder says what is wrong. */
function malformed(value: Buffer, place: MessagePlace): Row | null {
  return decodeChangeEvent(value, place)?.before ?? null;
}

/**
 * Decodes a message's key: the row's key columns. A message without a key (a table without one) gives null.
 *
 * @throws CdcError EVENT_UNDECODABLE that names topic, partition and offset
 */
export function decodeKey(key: Buffer | null, place: MessagePlace): Row | null {
  return key === null ? null : toKey(parse(key, 'key', place), place);
}

export function toKey(value: JsonValue, place: MessagePlace): Row {
  if (!isRow(value)) throw undecodable('the key is not a JSON object', place);
  return value;
}

/** Any message's value. @throws CdcError EVENT_UNDECODABLE */
export function decodeValue(value: Buffer | null, place: MessagePlace): JsonValue {
  return value === null ? null : parse(value, 'value', place);
}
