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
  /** Share (0 to 1) of the changes that the busiest table has. */
  readonly busiestShare: number;
  readonly pollIntervalSeconds: number;
  readonly capture: 'query' | 'log';
  readonly format: 'json' | 'avro' | 'json-schema';
  /** Whether views like the order view are kept, or mirrors alone. */
  readonly views: boolean;
  /** Days for which topics keep all events; null where they are compacted to one event a row. */
  readonly retentionDays: number | null;
};

/** A part that can be full. `use` 1: one unit of it has no more to give; above, more units or another cut are needed. */
export type Limit = { readonly part: string; readonly use: number; readonly why: string; readonly then: string };

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
  /** Fullest first. */
  readonly limits: readonly Limit[];
};

/** CPU of `count` units at a cost given per 100,000. */
const per100k = (count: number, cpuSeconds: number): number => (count * cpuSeconds) / 100_000;
const planned = (cores: number): number => Math.max(1, Math.ceil(cores / assumptions.plannedUse.value));

/** Polls a second, and how many of them find rows: no table is asked more often than it is polled, and none has more polls with rows than changes. */
export function pollsOf({ tables, changesPerSecond, pollIntervalSeconds }: Pick<Load, 'tables' | 'changesPerSecond' | 'pollIntervalSeconds'>): {
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
  const servers = unitCosts.loadServers.value / 2;
  return {
    poller: of(unitCosts.idlePoller.value, unitCosts.busyPoller.value, unitCosts.loadPoller.value),
    source: of(unitCosts.idleSource.value, unitCosts.busySource.value, servers),
    broker: of(unitCosts.idleBroker.value, unitCosts.busyBroker.value, servers),
  };
}

function eventBytes({ format, rowBytes }: Load): number {
  const sample = { json: unitCosts.eventJson, avro: unitCosts.eventAvro, 'json-schema': unitCosts.eventJsonSchema }[format].value;
  // The envelope's share of the sample's event stays; the rest grows with the row. An order's row has about 100 bytes.
  return sample + Math.max(0, rowBytes - sampleRowBytes);
}

const sampleRowBytes = 100;

/** What the load needs. */
export function needOf(load: Load): Need {
  const { tables, bytes, rowBytes, changesPerSecond, busiestShare, capture, views } = load;
  const rows = bytes / rowBytes;
  const busiest = changesPerSecond * busiestShare;
  const use = assumptions.plannedUse.value;

  const applyRate = (views ? unitCosts.applyViewRate : unitCosts.applyRate).value * use;
  const applyCores = per100k(changesPerSecond, (views ? unitCosts.applyView : unitCosts.applyMirror).value);
  const databaseCores = per100k(changesPerSecond, (views ? unitCosts.applyViewDatabase : unitCosts.applyMirrorDatabase).value);
  const partitionsBusiest = Math.max(1, Math.ceil(busiest / applyRate));
  const readProcesses = Math.max(planned(applyCores), Math.ceil(changesPerSecond / applyRate));
  const databases = Math.max(1, Math.ceil(databaseCores / (assumptions.databaseCores.value * use)));

  const polling = pollingCores(load);
  const tablesAProcess = Math.floor((assumptions.processRss.value - unitCosts.baseRss.value) / unitCosts.tableRss.value);
  const loadSeconds = assumptions.loadHours.value * 3600;
  const pollerProcesses = Math.max(
    planned(polling.poller),
    Math.ceil(tables / tablesAProcess),
    Math.ceil(rows / (unitCosts.loadRate.value * use * loadSeconds)),
  );
  const slots = Math.max(1, Math.ceil(changesPerSecond / (unitCosts.debeziumRate.value * use)), Math.ceil(rows / (unitCosts.debeziumRate.value * use * loadSeconds)));
  // A table is loaded by one process at a time, so that more processes than tables help none of them.
  const loaders = Math.min(tables, capture === 'query' ? pollerProcesses : slots);
  const captureRate = (capture === 'query' ? unitCosts.loadRate : unitCosts.debeziumRate).value * use;
  const stored = eventBytes(load) / assumptions.compression.value;
  const kept = load.retentionDays === null ? rows : rows + changesPerSecond * 86_400 * load.retentionDays;

  const limits: readonly Limit[] = [
    ...(capture === 'query'
      ? [
          {
            part: 'one table’s poller',
            use: (busiest * unitCosts.loadPoller.value) / 100_000 / use,
            why: 'one process polls a table, on one core',
            then: 'poll less often changed columns apart, split the table in the source, or capture it by the log',
          },
          {
            part: 'polls of idle tables',
            use: polling.poller / pollerProcesses / use,
            why: 'each poll costs the poller, the source and the broker something, whether it finds rows or not',
            then: 'more processes of the same name, a longer interval, or the log',
          },
          {
            part: 'the source’s Postgres',
            use: polling.source / (assumptions.databaseCores.value * use),
            why: 'it answers every poll',
            then: 'a longer interval, or the log',
          },
        ]
      : [
          {
            part: 'one Debezium task',
            use: changesPerSecond / (unitCosts.debeziumRate.value * use),
            why: 'a slot is read by one task, in order, on one core',
            then: 'a connector and a slot for each part of the tables (each decodes the whole log)',
          },
          {
            part: 'one table’s task',
            use: busiest / (unitCosts.debeziumRate.value * use),
            why: 'a table is in one slot',
            then: 'split the table in the source: nothing here can',
          },
        ]),
    {
      part: 'one read-model process',
      use: changesPerSecond / applyRate,
      why: 'it applies on one core',
      then: 'more processes of the group, up to the partitions',
    },
    {
      part: 'one read database',
      use: databaseCores / (assumptions.databaseCores.value * use),
      why: 'one Postgres writes all mirrors and views',
      then: 'read models by table or by tenant, each in a database of its own',
    },
    {
      part: 'the first load',
      use: rows / (loaders * captureRate * loadSeconds),
      why: `it is to end within ${assumptions.loadHours.value} hours, and a table is loaded by one process`,
      then: 'more processes (for more tables), more time, or split the largest table',
    },
  ];

  return {
    pollers:
      capture === 'query'
        ? {
            processes: pollerProcesses,
            cores: polling.poller,
            memoryMib: pollerProcesses * Math.max(unitCosts.loadRss.value, unitCosts.baseRss.value + (tables / pollerProcesses) * unitCosts.tableRss.value),
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
      cores: capture === 'query' ? polling.broker : per100k(changesPerSecond, unitCosts.loadServers.value / 2),
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
    firstLoadHours: rows / (loaders * captureRate) / 3600,
    limits: limits.toSorted((a, b) => b.use - a.use),
  };
}

/** `poller.connections` as the tables of the page have it. */
export const sessionsAProcess = 10;
