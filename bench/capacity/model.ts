/**
 * Capacity on paper: what a load needs, from the unit costs. Pure. It knows nothing of the network, of disks' speed and of locks: what it says of
 * CPU was checked against measurements (check.ts), what it says of limits beyond one machine is arithmetic.
 */
import { assumptions, unitCosts } from './unit-costs.ts';

export type Load = {
  readonly tables: number;
  /** Bytes of all rows in the source. */
  readonly bytes: number;
  /** Bytes of one row. */
  readonly rowBytes: number;
  /** Row versions a second, over all tables. */
  readonly changesPerSecond: number;
  /** Share (0 to 1) of the changes, and of the bytes, that the largest table has. */
  readonly busiestShare: number;
  readonly pollIntervalSeconds: number;
  readonly capture: 'query' | 'log';
  readonly format: 'json' | 'avro' | 'json-schema';
  /** Whether views like the order view are kept, or mirrors alone. */
  readonly views: boolean;
  /** Days for which topics keep all events; null where they are compacted to one event a row. */
  readonly retentionDays: number | null;
};

/** A part of which there cannot be two. `use` 1: it has no more to give within what is planned. */
export type Limit = { readonly part: string; readonly use: number; readonly why: string; readonly remedy: string };

export type Need = {
  /** Null with capture by log. */
  readonly pollers: { readonly processes: number; readonly cores: number; readonly memoryMib: number; readonly sessions: number } | null;
  /** Null with capture by query. Slots are in the source; each is one task, on any worker. */
  readonly connect: { readonly slots: number; readonly workers: number; readonly cores: number; readonly memoryMib: number } | null;
  /** Cores that capture takes from the source's server; null with the log, where it was not measured. */
  readonly sourceCores: number | null;
  readonly kafka: { readonly partitions: number; readonly cores: number; readonly diskBytes: number };
  readonly readModel: {
    readonly processes: number;
    readonly cores: number;
    readonly memoryMib: number;
    readonly databases: number;
    readonly databaseCores: number;
    readonly diskBytes: number;
  };
  /** Hours of the first load, by the processes or slots above. */
  readonly firstLoadHours: number;
  /** What more units do not help, the fullest first: that part stops scaling first. */
  readonly limits: readonly Limit[];
};

/** CPU of `count` units at a cost given per 100,000. */
const per100k = (count: number, cpuSeconds: number): number => (count * cpuSeconds) / 100_000;
/** Of a row that is loaded, per 100,000: Postgres and the broker were measured together, and are taken as half each. */
const serverPerRows = (unitCosts.loadAll.value - unitCosts.loadPoller.value) / 2;
const planned = (cores: number): number => Math.max(1, Math.ceil(cores / assumptions.plannedUse.value));

/** Polls a second, and how many of them find rows: no table is asked more often than it is polled, and none has more polls with rows than changes. */
export function pollsOf({
  tables,
  changesPerSecond,
  pollIntervalSeconds,
}: Pick<Load, 'tables' | 'changesPerSecond' | 'pollIntervalSeconds'>): {
  readonly idle: number;
  readonly busy: number;
} {
  const all = tables / pollIntervalSeconds;
  const busy = Math.min(all, changesPerSecond);
  return { idle: all - busy, busy };
}

/** Cores that polling takes, loads left out: of the pollers together, the source's Postgres, the broker. */
export function pollingCores(load: Pick<Load, 'tables' | 'changesPerSecond' | 'pollIntervalSeconds'>): {
  readonly poller: number;
  readonly source: number;
  readonly broker: number;
} {
  const { idle, busy } = pollsOf(load);
  const of = (perIdle: number, perBusy: number, rows: number): number =>
    (idle * perIdle + busy * perBusy) / 1000 + per100k(load.changesPerSecond, rows);
  return {
    poller: of(unitCosts.idlePoller.value, unitCosts.busyPoller.value, unitCosts.loadPoller.value),
    // A poll with rows asks one statement more than an idle one, which was not measured apart from the writer's own work.
    source: of(unitCosts.idleSource.value, unitCosts.idleSource.value, serverPerRows),
    broker: of(unitCosts.idleBroker.value, unitCosts.busyBroker.value, serverPerRows),
  };
}

function eventBytes({ format, rowBytes }: Load): number {
  const sample = { json: unitCosts.eventJson, avro: unitCosts.eventAvro, 'json-schema': unitCosts.eventJsonSchema }[format].value;
  // The envelope stays as it is; the rest grows with the row.
  return sample + Math.max(0, rowBytes - assumptions.sampleRowBytes.value);
}

/** What the load needs. */
export function needOf(load: Load): Need {
  const { tables, bytes, rowBytes, changesPerSecond, busiestShare, capture, views } = load;
  const rows = bytes / rowBytes;
  const busiest = changesPerSecond * busiestShare;
  const use = assumptions.plannedUse.value;

  const applyRate = (views ? unitCosts.applyViewRate : unitCosts.applyRate).value * use;
  // With capture by log there are no polls that make batches; a batch for each would be the same work cut smaller, and is not counted.
  const batches = capture === 'query' ? pollsOf(load).busy : 0;
  const perChange = (views ? unitCosts.applyViewDatabase : unitCosts.applyMirrorDatabase).value;
  const applyCores =
    per100k(changesPerSecond, (views ? unitCosts.applyView : unitCosts.applyMirror).value) + (batches * unitCosts.busyApply.value) / 1000;
  const databaseCores = per100k(changesPerSecond, perChange) + (batches * unitCosts.busyDatabase.value) / 1000;
  const databaseRoom = assumptions.databaseCores.value * use;
  const partitionsBusiest = Math.max(1, Math.ceil(busiest / applyRate));
  const readProcesses = Math.max(planned(applyCores), Math.ceil(changesPerSecond / applyRate));
  const databases = Math.max(1, Math.ceil(databaseCores / databaseRoom));

  const polling = pollingCores(load);
  const tablesAProcess = Math.floor((assumptions.processRss.value - unitCosts.baseRss.value) / unitCosts.tableRss.value);
  const loadSeconds = assumptions.loadHours.value * 3600;
  // More processes or slots than tables help none of them.
  const pollerProcesses = Math.min(
    tables,
    Math.max(planned(polling.poller), Math.ceil(tables / tablesAProcess), Math.ceil(rows / (unitCosts.loadRate.value * use * loadSeconds))),
  );
  const slots = Math.min(
    tables,
    Math.max(
      1,
      Math.ceil(changesPerSecond / (unitCosts.debeziumRate.value * use)),
      Math.ceil(rows / (unitCosts.debeziumRate.value * use * loadSeconds)),
    ),
  );
  const loaders = capture === 'query' ? pollerProcesses : slots;
  const captureRate = (capture === 'query' ? unitCosts.loadRate : unitCosts.debeziumRate).value * use;
  const stored = eventBytes(load) / assumptions.compression.value;
  const kept = load.retentionDays === null ? rows : rows + changesPerSecond * 86_400 * load.retentionDays;

  const limits: readonly Limit[] = [
    ...(capture === 'query'
      ? [
          {
            part: 'the poller of the largest table',
            use: per100k(busiest, unitCosts.loadPoller.value) / use,
            why: 'one process polls a table, on one core',
            remedy: 'split the table in the source, or capture it by the log',
          },
          {
            part: 'the source’s Postgres',
            use: polling.source / databaseRoom,
            why: 'it answers every poll',
            remedy: 'poll less often, or capture by the log',
          },
        ]
      : [
          {
            part: 'the Debezium task of the largest table',
            use: busiest / captureRate,
            why: 'a table is in one slot, and one task reads a slot, in order',
            remedy: 'split the table in the source',
          },
        ]),
    {
      part: 'the mirror of the largest table',
      use: per100k(busiest, perChange) / databaseRoom,
      why: 'one Postgres writes it',
      remedy: 'a read model for each tenant or part of it, in a database of its own',
    },
    {
      part: 'the first load of the largest table',
      use: (rows * busiestShare) / (captureRate * loadSeconds),
      why: `one process or task loads a table, and it is to end within ${assumptions.loadHours.value} hours`,
      remedy: 'give it more time, or split the table in the source',
    },
  ];

  return {
    pollers:
      capture === 'query'
        ? {
            processes: pollerProcesses,
            cores: polling.poller,
            memoryMib:
              pollerProcesses *
              Math.max(unitCosts.loadRss.value, unitCosts.baseRss.value + (tables / pollerProcesses) * unitCosts.tableRss.value),
            // With poller.connections: 10; fewer where a process has fewer tables.
            sessions: Math.min(tables, pollerProcesses * sessionsAProcess),
          }
        : null,
    connect:
      capture === 'log'
        ? {
            slots,
            workers: planned(per100k(changesPerSecond, unitCosts.debeziumCpu.value)),
            cores: per100k(changesPerSecond, unitCosts.debeziumCpu.value),
            memoryMib: slots * unitCosts.debeziumRss.value,
          }
        : null,
    sourceCores: capture === 'query' ? polling.source : null,
    kafka: {
      partitions: tables - 1 + partitionsBusiest,
      cores: capture === 'query' ? polling.broker : per100k(changesPerSecond, serverPerRows),
      diskBytes: kept * stored * assumptions.replicas.value,
    },
    readModel: {
      processes: readProcesses,
      cores: applyCores,
      memoryMib: readProcesses * unitCosts.applyRss.value,
      databases,
      databaseCores,
      diskBytes: bytes * assumptions.mirrorOverhead.value,
    },
    firstLoadHours: Math.max(rows / loaders, rows * busiestShare) / captureRate / 3600,
    limits: limits.toSorted((a, b) => b.use - a.use),
  };
}

/** `poller.connections` as the tables of the page have it. */
const sessionsAProcess = 10;
