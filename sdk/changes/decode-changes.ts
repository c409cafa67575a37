import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ConsumedMessage } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { toPoison, type ParkedPoison } from '#read-model/engine/index.ts';
import type { Delivered, MessageReader } from './message-reader.ts';

/** A message with what it says, or why nobody can say. */
export type ReadMessage = { readonly message: ConsumedMessage; readonly change: Delivered | ParkedPoison };

/** Some milliseconds of decoding: others go on in between. */
const messagesPerTurn = 500;

/** Decodes messages whose schemas are there. What cannot be decoded is to be parked. */
export async function decodeChanges(
  reader: MessageReader,
  place: TopicPartition,
  messages: readonly ConsumedMessage[],
): Promise<readonly ReadMessage[]> {
  const read: ReadMessage[] = [];
  for (const [at, message] of messages.entries()) {
    if (at > 0 && at % messagesPerTurn === 0) await nextTurn();
    read.push(decodeOne(reader, place, message));
  }
  return read;
}

export function decodeOne(reader: MessageReader, place: TopicPartition, message: ConsumedMessage): ReadMessage {
  try {
    return { message, change: reader(place, message) };
  } catch (error) {
    return { message, change: toPoison(error) };
  }
}
