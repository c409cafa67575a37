import type { UnreadableBatch } from '#kafka/index.ts';
import { CdcError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { qualified, queryText, text } from '../database.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { retrying } from '../retry.ts';
import { recordHalt } from '../faults/halts.ts';
import { readModelWording, type Wording } from '../faults/wording.ts';

/** Partitions that halt before a batch of records that cannot be read. */
export type UnreadableBatches = {
  /**
   * Makes it known once, in the log and in the model's status, with the command that passes over the batch. Gives the position that the database has now:
   * it is past the batch once somebody has run that.
   *
   * @param isNext whether all before it is applied: otherwise to pass over it would lose that too
   * @throws CdcError when what cannot be applied stops the model
   */
  halt(batch: UnreadableBatch, isNext: boolean): Promise<bigint | null>;
};

type Context = {
  readonly pool: Pool;
  readonly schema: string;
  readonly onPoison: 'park' | 'stop';
  readonly wording?: Wording | undefined;
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

export function unreadableBatches({ pool, schema, onPoison, wording = readModelWording, logger, signal }: Context): UnreadableBatches {
  const said = new Map<string, string>();
  return {
    async halt(batch, isNext) {
      const { topic, partition, offset } = batch;
      const error = new CdcError(batch.error.code, batch.error.message, {
        cause: batch.error,
        remedy: remedyOf(wording, schema, batch, isNext),
      });
      if (onPoison === 'stop') throw error;
      const place = `${topic}/${partition}`;
      if (said.get(place) !== `${offset} ${isNext}`) {
        logger.error({ topic, partition, code: error.code, remedy: error.remedy }, error.message);
        await retrying(`making it known that ${place} of ${schema} halts`, logger, signal, () =>
          recordHalt(pool, schema, { topic, partition, offset, error }),
        );
        said.set(place, `${offset} ${isNext}`);
      }
      return await retrying(`reading the position of ${place} in ${schema}`, logger, signal, () => positionOf(pool, schema, batch));
    },
  };
}

function remedyOf(wording: Wording, schema: string, batch: UnreadableBatch, isNext: boolean): string {
  const skip = isNext
    ? wording.skip(schema, batch)
    : 'start the model with consistency: row, which applies what waits for it and then names the command';
  return batch.error.code === 'KAFKA_BATCH_TOO_LARGE'
    ? `If it is to be read, raise kafka.maxBatchMb and start again. To pass over it, what it holds being lost: ${skip}`
    : `Restore the topic. Or pass over the batch, what it holds being lost until its rows change again: ${skip}`;
}

async function positionOf(pool: Pool, schema: string, { topic, partition }: TopicPartition): Promise<bigint | null> {
  const sql = `SELECT next_offset FROM ${qualified(schema, 'applied_offsets')} WHERE topic = $1 AND partition = $2`;
  const [row] = await queryText(pool, sql, [topic, partition]);
  return row === undefined ? null : BigInt(text(row, 0));
}
