import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventDecoder } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { toPoison, type ParkedPoison } from '#read-model/engine/index.ts';
import type { Change } from './change.ts';
import { readChange } from './read-change.ts';

/** A message with what it says, or why nobody can say. */
export type ReadMessage = { readonly message: ConsumedMessage; readonly change: Change | ParkedPoison };

/** Some milliseconds of decoding: others go on in between. */
const messagesPerTurn = 500;

/** Decodes messages whose schemas are there. What cannot be decoded is to be parked. */
export async function decodeChanges(
  decoder: EventDecoder,
  place: TopicPartition,
  messages: readonly ConsumedMessage[],
  table: string,
): Promise<readonly ReadMessage[]> {
  const read: ReadMessage[] = [];
  for (const [at, message] of messages.entries()) {
    if (at > 0 && at % messagesPerTurn === 0) await nextTurn();
    read.push(decodeOne(decoder, place, message, table));
  }
  return read;
}

export function decodeOne(decoder: EventDecoder, place: TopicPartition, message: ConsumedMessage, table: string): ReadMessage {
  try {
    return { message, change: readChange(decoder, place, message, table) };
  } catch (error) {
    return { message, change: toPoison(error) };
  }
}
