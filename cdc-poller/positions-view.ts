import { connectKafka, type Kafka } from '#kafka/index.ts';
import { CdcError, isTablePattern, matchesTable, silentLogger, type KafkaConfig, type PollerConfig } from '#pipeline/index.ts';
import { beginning } from './fence/floor.ts';
import { formatMicros } from './fence/micros.ts';
import { isWindow, type Position } from './position/position.ts';
import type { Progress } from './position/explain-wait.ts';
import { positionTopic, readPositionTopic, readStoredTables, tombstone } from './position/position-topic.ts';

/** What `cdc poller status` shows of a table. */
export type TableStatus = {
  readonly table: string;
  /** `done`: a process that was to end when it had published what is there (`--once`) has. `unreadable`: see `problem`. */
  readonly phase: 'not started' | 'loading' | 'polling' | 'done' | 'unreadable';
  /** Why the position cannot be read, with the remedy; null for one that can. */
  readonly problem: string | null;
  /** Every row version of a transaction below it has been published. */
  readonly horizon: string | null;
  /** The legacy server's clock at the poll that the position belongs to; written at least every second while transactions go on. */
  readonly polledAt: string | null;
  readonly floor: string | null;
  /** Waits for transactions that were open when the load began. */
  readonly repairPending: boolean;
};

/** The committed positions of a poller's tables: those that are configured by name, and those that have a position. `progress` is called with what it waits for, when it lasts. */
export async function readStatus(
  config: KafkaConfig,
  poller: PollerConfig,
  signal?: AbortSignal,
  progress?: Progress,
): Promise<readonly TableStatus[]> {
  const stored = await readStoredTables(connectKafka(config, silentLogger), poller.name, signal, progress);
  const named = poller.tables.map(({ table }) => table).filter((table) => !isTablePattern(table));
  return [...new Set([...named, ...stored.keys()])].map((table) => {
    const { head = null, invalid = null } = stored.get(table) ?? {};
    const nothing = { table, problem: null, horizon: null, polledAt: null, floor: null, repairPending: false };
    if (invalid !== null) return { ...nothing, phase: 'unreadable', problem: `${invalid.code}: ${invalid.message}. ${invalid.remedy}` };
    if (head === null) return { ...nothing, phase: 'not started' };
    const { position } = head;
    return {
      table,
      problem: null,
      phase: position.done ? 'done' : position.horizon === null ? 'loading' : 'polling',
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
  for (const [table, { head, invalid }] of await readStoredTables(kafka, pollerName, signal)) {
    const position = invalid === null ? head?.position : undefined;
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
  if ((await readStoredTables(kafka, pollerName)).size === 0) return [];
  const reset: string[] = [];
  for (const table of tables) {
    for (let tries = takeOversMost; ; tries -= 1) {
      try {
        if (await resetPosition(kafka, pollerName, table)) reset.push(table);
        break;
      } catch (error) {
        // A poller whose table waits takes it over again with every try, and may come between: its tries are seconds apart.
        if (tries === 1 || !(error instanceof CdcError && error.code === 'PRODUCER_FENCED')) throw error;
      }
    }
  }
  return reset;
}

/** So often a table is taken over before somebody else is left to have it. */
const takeOversMost = 10;

/** Whether there was a position. */
async function resetPosition(kafka: Kafka, pollerName: string, table: string): Promise<boolean> {
  await using producer = await kafka.transactionalProducer({ transactionalId: `${pollerName}/${table}` });
  const stored = (await readPositionTopic(kafka, pollerName)).get(table);
  if (stored === undefined) return false;
  const transaction = await producer.begin();
  await transaction.send(positionTopic(pollerName), stored.keys.map(tombstone));
  await transaction.commit();
  return stored.head !== null || stored.invalid !== null;
}
