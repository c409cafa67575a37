import type { Kafka } from '#kafka/index.ts';
import { describeError, pause, type Logger } from '#pipeline/index.ts';
import { backOffMs } from '../supervisor/back-off.ts';
import { tablesTopic, type TableSlots } from './table-slots.ts';

/** This process's place in the group of processes that share a poller's tables. */
export type GroupMembership = AsyncDisposable & {
  /** Whether the group has confirmed this member within its session timeout. */
  isMember(): boolean;
  /** Slots of tables that were registered since. */
  learn(slots: TableSlots): void;
  /** Resolves when the group confirms, from now on, that its assignment holds; at once when the signal is aborted. */
  confirmed(signal: AbortSignal): Promise<void>;
};

export type MembershipOptions = {
  readonly kafka: Kafka;
  readonly pollerName: string;
  readonly sessionTimeoutMs: number;
  readonly slots: TableSlots;
  readonly logger: Logger;
  /** Called with the tables of this process after every assignment. `all`: no other process has any. */
  readonly onTables: (tables: ReadonlySet<string>, all: boolean) => void;
};

/** A heartbeat that was answered just before a table was lost must not count: confirmations sooner than this are passed over. */
const settleMs = 500;

/**
 * Joins the Kafka consumer group `cdc-poller.<name>` on the topic of tables: who is assigned a partition polls its table. There is no
 * coordination besides. kafkajs reports assignments, but not revocations, and a member may be away without knowing; so an assignment
 * only says who ought to poll. That two never both publish a table is the work of its transactional id.
 *
 * @throws CdcError KAFKA_UNREACHABLE, TOPIC_MISSING when it cannot join at first; later it joins again by itself
 */
export async function joinGroup(options: MembershipOptions): Promise<GroupMembership> {
  const { kafka, pollerName, sessionTimeoutMs, logger, onTables } = options;
  const topic = tablesTopic(pollerName);
  const tables = new Map(Array.from(options.slots, ([table, slot]) => [slot, table] as const));
  let assigned: ReadonlySet<number> = new Set();
  let joined = false;
  let confirmedAt = -Infinity;
  let announced = '';
  const waiting = new Set<() => void>();
  const leaving = new AbortController();

  const confirm = (): void => {
    confirmedAt = performance.now();
    for (const check of waiting) check();
  };
  const announce = (): void => {
    if (!joined) return;
    const mine = [...tables].filter(([slot]) => assigned.has(slot)).map(([, table]) => table);
    const all = mine.length === tables.size;
    const text = JSON.stringify([mine.toSorted(), all]);
    if (text === announced) return;
    announced = text;
    logger.info({ tables: mine }, 'tables of this process');
    onTables(new Set(mine), all);
  };

  const join = () =>
    kafka.consumer({
      groupId: `cdc-poller.${pollerName}`,
      topics: [topic],
      assignment: 'sticky',
      sessionTimeoutMs,
      maxWaitMs: 250,
      metadataMaxAgeMs: 5000,
      onAssigned: (assignment) => {
        assigned = new Set(assignment[topic]);
        joined = true;
        confirm();
        announce();
      },
      onConfirmed: confirm,
      onBatch: async ({ messages, partition }) => {
        for (const { key } of messages) if (key !== null) tables.set(partition, key.toString());
        announce();
      },
    });

  let consumer = await join();
  const stay = async (): Promise<void> => {
    for (let attempt = 1; !leaving.signal.aborted; attempt += 1) {
      try {
        await consumer.closed;
        return;
      } catch (error) {
        logger.warn({ nextTryInMs: backOffMs(attempt, 0) }, `left the group that shares the tables: ${describeError(error)}`);
        await pause(backOffMs(attempt, Math.random()), leaving.signal);
        if (leaving.signal.aborted) return;
        consumer = await join().catch(() => consumer);
        // Left while it joined: nobody else would take the new member out, and it would hold its tables for ever.
        if (leaving.signal.aborted) await consumer[Symbol.asyncDispose]();
      }
    }
  };
  const stayed = stay();

  return {
    isMember: () => joined && performance.now() - confirmedAt < sessionTimeoutMs,
    learn: (slots) => {
      for (const [table, slot] of slots) tables.set(slot, table);
      announce();
    },
    async confirmed(signal) {
      const from = performance.now() + settleMs;
      const met = Promise.withResolvers<void>();
      const check = (): void => {
        if (signal.aborted || confirmedAt >= from) met.resolve();
      };
      waiting.add(check);
      signal.addEventListener('abort', check, { once: true });
      check();
      await met.promise;
      waiting.delete(check);
      signal.removeEventListener('abort', check);
    },
    async [Symbol.asyncDispose]() {
      leaving.abort();
      await consumer[Symbol.asyncDispose]();
      await stayed;
    },
  };
}
