import { describeError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import type { TopicPartition } from '#kafka/port.ts';
import { recordHalt } from '../faults/halts.ts';
import type { Mismatch } from '../mirrors/mismatch.ts';

/** Partitions that wait for what passes: said once in the log and, until the partition has passed, in the model's status. */
export type Waits = {
  readonly wait: (mismatch: Mismatch) => Promise<void>;
  readonly over: (place: TopicPartition) => void;
};

export function createWaits(pool: Pool, schema: string, logger: Logger): Waits {
  /** By partition, the first offset that waits and why. */
  const waiting = new Map<string, string>();
  return {
    wait: async (mismatch) => {
      const { topic, partition, offset, error } = mismatch;
      const name = `${topic}/${partition}`;
      const why = `${offset} ${error.code}`;
      if (waiting.get(name) === why) return;
      logger.warn({ topic, partition, code: error.code, remedy: error.remedy }, `${error.message}; the partition waits`);
      try {
        await recordHalt(pool, schema, mismatch);
        waiting.set(name, why);
      } catch (failed) {
        // The database may be what is waited for.
        logger.warn({ topic, partition, reason: describeError(failed) }, 'it could not be made known in the database');
      }
    },
    over: ({ topic, partition }) => {
      if (waiting.delete(`${topic}/${partition}`)) logger.info({ topic, partition }, 'the partition goes on');
    },
  };
}
