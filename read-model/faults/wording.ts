import type { UnreadableBatch } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { CdcError, type ErrorCode } from '#pipeline/index.ts';

/** How whoever uses the engine calls what may halt a partition, and what he advises: a read model, or a service's consumer. */
export type Wording = {
  /** Something is wrong that no event is at fault for. */
  readonly halted: ErrorCode;
  /** Something passes, and has not yet. */
  readonly triesAgain: ErrorCode;
  readonly parkedFull: ErrorCode;
  /** The topic is not the one that the position was taken from. */
  readonly replaced: (schema: string, place: TopicPartition, why: string) => CdcError;
  /** Kafka has deleted what was to come next. */
  readonly lost: (schema: string, place: TopicPartition, why: string, low: bigint) => CdcError;
  /** What passes over a batch that nobody can read. */
  readonly skip: (schema: string, batch: Omit<UnreadableBatch, 'error' | 'fetchedFrom'>) => string;
};

export const readModelWording: Wording = {
  halted: 'READ_MODEL_HALTED',
  triesAgain: 'READ_MODEL_TRIES_AGAIN',
  parkedFull: 'READ_MODEL_PARKED_FULL',
  replaced: (schema, _place, why) =>
    new CdcError('READ_MODEL_TOPIC_REPLACED', why, {
      remedy:
        'See that the topic begins with the whole table (if not: cdc connectors snapshot, or cdc poller reset), then ' +
        `${rebuildCommands(schema, '')}: it fills the model from the topics of now, and the model goes on by itself.`,
    }),
  lost: (schema, _place, why) =>
    new CdcError('READ_MODEL_EVENTS_LOST', why, {
      remedy:
        'Have the whole table published again (cdc connectors snapshot, or cdc poller reset), then ' +
        `${rebuildCommands(schema, ' --from-retained')}: the model goes on by itself. Raise retention.ms or retention.bytes of the topic.`,
    }),
  skip: (schema, batch) => `cdc read-model skip ${skipOptions(schema, batch)}`,
};

/** The options of `cdc read-model skip` that pass over a batch; what is passed over is checked against them. */
function skipOptions(schema: string, { topic, partition, offset, nextOffset }: Omit<UnreadableBatch, 'error' | 'fetchedFrom'>): string {
  return `--model ${schema} --topic ${topic} --partition ${partition} --from ${offset} --to ${nextOffset}`;
}

/** A version that was begun before is of no use. */
function rebuildCommands(schema: string, options: string): string {
  const model = schema.replace(/__v\d+$/, '');
  return `cdc read-model rebuild --model ${model} --abort and cdc read-model rebuild --model ${model}${options} --switch`;
}
