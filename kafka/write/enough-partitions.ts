import { setTimeout as delay } from 'node:timers/promises';
import type { OutgoingMessage } from '../port.ts';

/** Some two seconds in all: metadata reaches the brokers of a cluster one after the other. */
const looks = 12;

/**
 * How many partitions a topic has, looked at again while a message names one that is not known yet: what has just been added is not known to every
 * broker at once.
 *
 * @param count the topic's partitions; `again` means that what is kept of it will not do
 * @returns what was found last, be it enough or not
 */
export async function enoughPartitions(messages: readonly OutgoingMessage[], count: (again: boolean) => Promise<number>): Promise<number> {
  const needed = messages.reduce((most, { partition = -1 }) => Math.max(most, partition), -1) + 1;
  for (let look = 1; ; look += 1) {
    const found = await count(look > 1);
    if (found >= needed || look >= looks) return found;
    await delay(Math.min(250, 25 * look));
  }
}
