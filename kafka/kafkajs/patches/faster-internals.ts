import { isKnownVersion, isLoaded, replaceInternal } from './internals.ts';

/**
 * The grouping of a request's messages of kafkajs 2.2.4, which copies a partition's messages for each further one, is replaced in memory by one that gives
 * the same. Another version is left as it is: slower, not wrong.
 */

/** What kafkajs groups messages by: the partition that the message has. */
type Placement<Message> = {
  readonly topic: string;
  readonly partitionMetadata: readonly unknown[];
  readonly messages: readonly Message[];
  readonly partitioner: (args: {
    readonly topic: string;
    readonly partitionMetadata: readonly unknown[];
    readonly message: Message;
  }) => number;
};

/** As kafkajs's own: messages by partition, in order; none without metadata. */
export function groupMessages<Message>({ topic, partitionMetadata, messages, partitioner }: Placement<Message>): Record<number, Message[]> {
  const groups: Record<number, Message[]> = {};
  if (partitionMetadata.length === 0) return groups;
  for (const message of messages) (groups[partitioner({ topic, partitionMetadata, message })] ??= []).push(message);
  return groups;
}

/**
 * Replaces them, in this process. kafkajs takes the grouping when it is first imported: this must come before that, or the grouping stays kafkajs's.
 *
 * @returns whether this process' kafkajs has them all
 */
export function replaceWithFaster(): boolean {
  if (!isKnownVersion()) return false;
  const isInTime = !isLoaded('src/producer/sendMessages');
  replaceInternal('src/producer/groupMessagesPerPartition', () => groupMessages);
  return isInTime;
}
