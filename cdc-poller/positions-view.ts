import { connectKafka, type Kafka } from '#kafka/index.ts';
import { isTablePattern, matchesTable, CdcError, silentLogger, type KafkaConfig, type PollerConfig } from '#pipeline/index.ts';
import { beginning } from './fence/floor.ts';
import { formatMicros } from './fence/micros.ts';
import { isWindow, type Position } from './position/position.ts';
import type { Progress } from './position/tell-waits.ts';
import { chunkKey, headKey, ownerKey, positionTopic, readPositionTopic, tombstone } from './position/position-topic.ts';

/** What `cdc poller status` shows of a table. */
export type TableStatus = {
  readonly table: string;
  readonly phase: 'not started' | 'loading' | 'polling';
  /** Every row version of a transaction below it has been published. */
  readonly horizon: string | null;
  /** The legacy server's clock at the poll that the position belongs to; written at least every second while transactions go on. */
  readonly polledAt: string | null;
  readonly floor: string | null;
  /** Waits for transactions that were open when the load began. */
  readonly repairPending: boolean;
};

/** The committed positions of a poller's tables: those that are configured by name, and those that have a position. `progress` is told what it waits for when it lasts. */
export async function readStatus(
  config: KafkaConfig,
  poller: PollerConfig,
  signal?: AbortSignal,
  progress?: Progress,
): Promise<readonly TableStatus[]> {
  const stored = await readStored(connectKafka(config, silentLogger), poller.name, signal, progress);
  const named = poller.tables.map(({ table }) => table).filter((table) => !isTablePattern(table));
  return [...new Set([...named, ...stored.keys()])].map((table) => {
    const position = stored.get(table)?.head?.position;
    if (position === undefined) return { table, phase: 'not started', horizon: null, polledAt: null, floor: null, repairPending: false };
    return {
      table,
      phase: position.horizon === null ? 'loading' : 'polling',
      horizon: isWindow(position.basis?.capture ?? 'time') ? null : (position.horizon?.toString() ?? null),
      polledAt: formatMicros(position.clock),
      floor: shownMark(position),
      repairPending: position.repair !== null,
    };
  });
}

/**
 * The horizon of each table that has one: every row version of a transaction with a lower id has been published. A table
 * that still waits for a repair pass is left out.
 */
export async function readHorizons(kafka: Kafka, pollerName: string, signal?: AbortSignal): Promise<ReadonlyMap<string, bigint>> {
  return new Map([...(await readWhole(kafka, pollerName, signal))].map(([table, { horizon }]) => [table, horizon]));
}

/**
 * {@link readHorizons}, and for tables that are swept: every delete of a transaction below has been published too. A table that is swept is
 * left out until a sweep of it was believed.
 */
export async function readHorizonsSwept(kafka: Kafka, poller: PollerConfig, signal?: AbortSignal): Promise<ReadonlyMap<string, bigint>> {
  const horizons = new Map<string, bigint>();
  for (const [table, { horizon, swept }] of await readWhole(kafka, poller.name, signal)) {
    const settings = poller.tables.find((entry) => entry.table === table) ?? poller.tables.find((entry) => matchesTable(entry, table));
    if (settings?.sweep === undefined) horizons.set(table, horizon);
    else if (swept !== null) horizons.set(table, swept < horizon ? swept : horizon);
  }
  return horizons;
}

/** Positions of tables that have a horizon which speaks of transactions, and no repair to come. */
async function readWhole(
  kafka: Kafka,
  pollerName: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, { readonly horizon: bigint; readonly swept: bigint | null }>> {
  const whole = new Map<string, { readonly horizon: bigint; readonly swept: bigint | null }>();
  for (const [table, { head }] of await readStored(kafka, pollerName, signal)) {
    const position = head?.position;
    // A window's horizon is a time: of which transactions are through, it says nothing.
    if (position === undefined || position.horizon === null || position.repair !== null || isWindow(position.basis?.capture ?? 'time'))
      continue;
    whole.set(table, { horizon: position.horizon, swept: position.swept });
  }
  return whole;
}

/** A floor is a time, or an id in mode incrementing; null before there is one. */
function shownMark({ floor, basis }: Position): string | null {
  if (floor <= beginning) return null;
  return basis?.capture === 'id' || basis?.capture === 'id-window' ? floor.toString() : formatMicros(floor);
}

/**
 * Forgets the positions of tables, so that the next start loads them again. Takes each table over first: a poller that
 * still runs ends with PRODUCER_FENCED instead of writing its position back.
 *
 * @returns the tables that had a position
 */
export async function resetPositions(kafka: Kafka, pollerName: string, tables: readonly string[]): Promise<readonly string[]> {
  if ((await readStored(kafka, pollerName)).size === 0) return [];
  const reset: string[] = [];
  for (const table of tables) {
    await using producer = await kafka.transactionalProducer({ transactionalId: `${pollerName}/${table}` });
    const stored = (await readPositionTopic(kafka, pollerName)).get(table);
    if (stored === undefined) continue;
    const keys = [headKey(table), ownerKey(table), ...[...stored.chunks.keys()].map((chunk) => chunkKey(table, chunk))];
    const transaction = await producer.begin();
    await transaction.send(positionTopic(pollerName), keys.map(tombstone));
    await transaction.commit();
    if (stored.head !== null) reset.push(table);
  }
  return reset;
}

/** A poller that has never run has no topic, and so no positions. */
async function readStored(
  ...[kafka, pollerName, signal, progress]: Parameters<typeof readPositionTopic>
): ReturnType<typeof readPositionTopic> {
  try {
    return await readPositionTopic(kafka, pollerName, signal, progress);
  } catch (error) {
    if (error instanceof CdcError && error.code === 'TOPIC_MISSING') return new Map();
    throw error;
  }
}
