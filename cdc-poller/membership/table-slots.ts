import { setTimeout as delay } from 'node:timers/promises';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { backOffMs } from '../supervisor/back-off.ts';

/**
 * Which table is which partition of the topic that the group shares. Every table has a slot, given to it once by whoever met it first and
 * written down in the topic itself, so that processes with different configurations (a rolling change) mean the same table by a partition.
 * A slot is never given to another table.
 */
export function tablesTopic(pollerName: string): string {
  return `cdc-poller.${pollerName}.tables`;
}

/** Partition by table. */
export type TableSlots = ReadonlyMap<string, number>;

/**
 * The slots of all tables, after giving one to each of `tables` that has none. Several processes may do so at once: a Kafka
 * transaction under one transactional id lets one through and makes the others look again.
 *
 * @throws CdcError KAFKA_UNREACHABLE; the signal's reason
 */
export async function registerTables(
  kafka: Kafka,
  pollerName: string,
  tables: readonly string[],
  { replicationFactor, signal }: { readonly replicationFactor: number; readonly signal: AbortSignal },
): Promise<TableSlots> {
  const topic = tablesTopic(pollerName);
  await using admin = await kafka.admin();
  await admin.ensureTopics([
    { topic, partitions: Math.max(1, tables.length), replicationFactor, config: { 'cleanup.policy': 'compact', 'segment.ms': '3600000' } },
  ]);
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    const known = await readSlots(kafka, pollerName, signal);
    if (tables.every((table) => known.has(table))) return known;
    try {
      await using producer = await kafka.transactionalProducer({ transactionalId: `${pollerName}/tables` });
      // Read again as the owner of the id: nobody else can write any more.
      const slots = withSlots(await readSlots(kafka, pollerName, signal), tables);
      await admin.ensurePartitions(topic, Math.max(...slots.values()) + 1);
      const transaction = await producer.begin();
      await transaction.send(
        topic,
        [...slots].map(([table, partition]) => ({ key: table, value: 'table', partition })),
      );
      await transaction.commit();
    } catch (error) {
      if (!(error instanceof CdcError && error.code === 'PRODUCER_FENCED')) throw error;
      // Whoever took the id is at work: wait longer and longer, so that many that start at once let one through.
      await delay(Math.random() * backOffMs(attempt, 1), undefined, { signal });
    }
  }
}

/** Gives each table that has no slot the lowest free one. Pure. */
export function withSlots(known: TableSlots, tables: readonly string[]): TableSlots {
  const slots = new Map(known);
  const taken = new Set(known.values());
  let next = 0;
  for (const table of tables.filter((name) => !known.has(name))) {
    while (taken.has(next)) next += 1;
    taken.add(next);
    slots.set(table, next);
  }
  return slots;
}

async function readSlots(kafka: Kafka, pollerName: string, signal: AbortSignal): Promise<Map<string, number>> {
  const slots = new Map<string, number>();
  await readToEnd(
    kafka,
    tablesTopic(pollerName),
    ({ key, value }, partition) => {
      if (key !== null && value !== null) slots.set(key.toString(), partition);
    },
    signal,
  );
  return slots;
}
