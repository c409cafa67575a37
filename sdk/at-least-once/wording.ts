import type { TopicPartition } from '#kafka/port.ts';
import { CdcError, type ErrorCode } from '#pipeline/index.ts';
import type { Halt } from './places.ts';

type Range = Omit<Halt, 'error'>;

/** A partition halts, with the call that goes on. */
function halt(code: ErrorCode, place: TopicPartition, range: Range, why: string, advice: (skip: string) => string): Halt {
  const { topic, partition } = place;
  const skip = `consumer.skip({ topic: '${topic}', partition: ${partition}, offset: ${range.offset}n, nextOffset: ${range.nextOffset}n })`;
  return {
    ...range,
    error: new CdcError(code, `topic ${topic}, partition ${partition}, offset ${range.offset}: ${why}`, { remedy: advice(skip) }),
  };
}

export function poisoned(place: TopicPartition, range: Range, code: ErrorCode, cause: string): Halt {
  return halt(
    code,
    place,
    range,
    cause,
    (skip) => `Correct the handler and start again, or give consume an onPoison that keeps such changes. To give the change up: ${skip}`,
  );
}

export function unreadable(place: TopicPartition, range: Range, error: CdcError): Halt {
  const first =
    error.code === 'KAFKA_BATCH_TOO_LARGE' ? 'If it is to be read, raise kafka.maxBatchMb and start again.' : 'Restore the topic.';
  return halt(error.code, place, range, error.message, (skip) => `${first} To pass over it, what it holds being lost: ${skip}`);
}

export function lost(place: TopicPartition, range: Range): Halt {
  return halt(
    'CONSUMER_EVENTS_LOST',
    place,
    range,
    `it is to be handled next, but Kafka now begins at offset ${range.nextOffset}`,
    (skip) =>
      `Have the whole table published again (cdc connectors snapshot, or cdc poller reset), and correct what the handler has done. Then begin at what Kafka still has: ${skip}. Raise retention.ms or retention.bytes of the topic.`,
  );
}

export function replaced(place: TopicPartition, range: Range): Halt {
  return halt(
    'CONSUMER_TOPIC_REPLACED',
    place,
    range,
    'the topic ends before it: it is another one than the one that was handled, or has lost its end',
    (skip) => `Correct what the handler has done with the old topic. Then begin at its beginning: ${skip}`,
  );
}
