import { CdcError, describeError } from '#pipeline/index.ts';
import * as z from 'zod';
import { changeEventSchema, isRow, type ChangeEvent, type Row } from './change-event.ts';
import { parseLossless, type JsonValue } from './lossless-json.ts';

/** Where a message stands in Kafka; errors name it. */
export type MessagePlace = { readonly topic: string; readonly partition: number; readonly offset: string };

function undecodable(what: string, place: MessagePlace, cause?: unknown): CdcError {
  return new CdcError('EVENT_UNDECODABLE', `${what} at topic ${place.topic}, partition ${place.partition}, offset ${place.offset}`, {
    cause,
  });
}

function parse(bytes: Buffer, what: string, place: MessagePlace): JsonValue {
  try {
    return parseLossless(bytes.toString('utf8'));
  } catch (error) {
    throw undecodable(`the ${what} is not JSON (${describeError(error)})`, place, error);
  }
}

/**
 * Decodes a message's value. Integers keep every digit. A tombstone (null value) gives null.
 *
 * @throws CdcError EVENT_UNDECODABLE that names topic, partition and offset
 */
export function decodeChangeEvent(value: Buffer | null, place: MessagePlace): ChangeEvent | null {
  if (value === null) return null;
  const parsed = changeEventSchema.safeParse(parse(value, 'value', place));
  if (!parsed.success)
    throw undecodable(`the value is not a change event (${z.prettifyError(parsed.error).replaceAll('\n', ' ')})`, place, parsed.error);
  return parsed.data;
}

/**
 * Decodes a message's key: the row's key columns. A message without a key (a table without one) gives null.
 *
 * @throws CdcError EVENT_UNDECODABLE that names topic, partition and offset
 */
export function decodeKey(key: Buffer | null, place: MessagePlace): Row | null {
  if (key === null) return null;
  const parsed = parse(key, 'key', place);
  if (!isRow(parsed)) throw undecodable('the key is not a JSON object', place);
  return parsed;
}
