import { CdcError } from '#pipeline/index.ts';
import { qualified, type Wording } from '#read-model/engine/index.ts';
import { escapeLiteral } from 'pg';

/** How a service's consumer calls what may halt a partition, with remedies that its owner can carry out. */
export const consumerWording: Wording = {
  halted: 'CONSUMER_HALTED',
  triesAgain: 'CONSUMER_TRIES_AGAIN',
  parkedFull: 'CONSUMER_PARKED_FULL',
  replaced: (schema, { topic }, why) =>
    new CdcError('CONSUMER_TOPIC_REPLACED', why, {
      remedy: `Correct what the handler has written of the old topic. Then begin at the beginning of the new one: UPDATE ${qualified(schema, 'applied_offsets')} SET next_offset = 0, epoch = epoch + 1, topic_id = NULL WHERE topic = ${escapeLiteral(topic)}; the consumer goes on by itself.`,
    }),
  lost: (schema, { topic, partition }, why, low) =>
    new CdcError('CONSUMER_EVENTS_LOST', why, {
      remedy: `Have the whole table published again (cdc connectors snapshot, or cdc poller reset), and correct what the handler has written. Then begin at what Kafka still has: UPDATE ${qualified(schema, 'applied_offsets')} SET next_offset = ${low}, epoch = epoch + 1 WHERE topic = ${escapeLiteral(topic)} AND partition = ${partition}; the consumer goes on by itself. Raise retention.ms or retention.bytes of the topic.`,
    }),
  skip: (_schema, { topic, partition, offset, nextOffset }) =>
    `consumer.skip({ topic: '${topic}', partition: ${partition}, offset: ${offset}n, nextOffset: ${nextOffset}n })`,
};
