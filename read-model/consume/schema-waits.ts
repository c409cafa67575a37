import { isFramed, type EventDecoder } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { CdcError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import type { TopicPartition } from '#kafka/port.ts';
import { retrying } from '../retry.ts';
import { isWait, recordHalt } from '../faults/halts.ts';
import type { Mismatch } from '../mirrors/mismatch.ts';

/** Partitions that wait for a schema which the registry cannot give for now. */
export type SchemaWaits = {
  /**
   * Loads the schemas of messages. False when the registry does not answer: the partition pauses, and its messages are to be read again.
   * Where the topic's other messages are plain JSON nobody waits: what only begins like one with a schema cannot be read, and is parked.
   * Said once in the log and, until the partition has passed, in the model's status.
   */
  readonly ready: (place: TopicPartition, messages: readonly ConsumedMessage[]) => Promise<boolean>;
};

type Context = {
  readonly decoder: EventDecoder;
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

/** With nothing behind it, a message may be the first of a topic that changes its format. */
const graceMs = 30_000;

function isPlain(message: ConsumedMessage | undefined): boolean {
  return message !== undefined && message.value !== null && !isFramed(message.value);
}

export function schemaWaits({ pool, schema, ...context }: Context & { readonly pool: Pool; readonly schema: string }): SchemaWaits {
  return reportedSchemaWaits(context, (halt) =>
    retrying(`making it known that ${halt.topic}/${halt.partition} of ${schema} waits`, context.logger, context.signal, () =>
      recordHalt(pool, schema, halt),
    ),
  );
}

/** {@link schemaWaits} of whoever has no database; `report` makes a wait known, once. */
export function reportedSchemaWaits({ decoder, logger, signal }: Context, report: (wait: Mismatch) => Promise<void>): SchemaWaits {
  /** By partition, the first offset that waits. */
  const waiting = new Map<string, { readonly offset: bigint; readonly since: number }>();
  /** Topics of which plain JSON was read. */
  const plain = new Set<string>();
  return {
    async ready(place, messages) {
      if (!plain.has(place.topic) && isPlain(messages[0])) plain.add(place.topic);
      const loading = decoder.prepare(messages, signal);
      const { topic, partition } = place;
      const name = `${topic}/${partition}`;
      try {
        if (loading !== undefined) await loading;
        if (waiting.delete(name)) logger.info({ topic, partition }, 'the schema registry has answered: the partition goes on');
        return true;
      } catch (error) {
        const offset = messages[0]?.offset ?? 0n;
        if (signal.aborted || !(error instanceof CdcError) || !isWait(error.code)) throw error;
        const known = waiting.get(name);
        const since = known?.offset === offset ? known.since : Date.now();
        if (messages.some(isPlain) || (plain.has(topic) && Date.now() - since > graceMs)) {
          waiting.delete(name);
          return true;
        }
        if (known?.offset === offset) return false;
        waiting.set(name, { offset, since });
        logger.error({ topic, partition, code: error.code, remedy: error.remedy }, `${error.message}; the partition waits`);
        await report({ topic, partition, offset, error });
        return false;
      }
    },
  };
}
