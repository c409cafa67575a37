import { planned, unitCosts } from './unit-costs.ts';

/** What somebody has: one legacy database after the other adds up. */
export type Load = {
  readonly tables: number;
  /** Rows in all tables before anything begins. */
  readonly rows: number;
  /** Of all tables, sustained. */
  readonly changesPerSecond: number;
  readonly strategy: 'query' | 'log';
  /** How often an idle table is asked (query). */
  readonly pollSeconds: number;
  /** Whether the model has a view over its mirrors. */
  readonly view: boolean;
};

/** What it needs. Cores are those that work; processes and partitions are whole numbers. */
export type Need = {
  /** Processes that capture: of pollers in one group, or tasks of Connect. */
  readonly captures: number;
  readonly captureCores: number;
  /** Of one capturing process. Null for Connect: a worker's heap was not measured here. */
  readonly captureMemoryMiB: number | null;
  /** Cores of the legacy database, beyond what its application uses. Null for the log: what a walsender takes was not measured. */
  readonly sourceCores: number | null;
  readonly brokerCores: number;
  readonly models: number;
  readonly modelCores: number;
  readonly readDatabaseCores: number;
  /** The least that the topics of changes must have together, for that many models. */
  readonly partitions: number;
  /** One table after the other. */
  readonly firstLoadHours: number;
  /** GiB a day in the topics: with the compression that was measured, and with none. */
  readonly logGibPerDay: readonly [compressed: number, plain: number];
};

/** Linear in rows, changes and polls, because the parts are; what bends the line is named in docs/capacity.md. */
export function needOf(load: Load): Need {
  const { apply, applyWithView, event } = unitCosts;
  const applied = load.view ? applyWithView : apply;
  const capture = load.strategy === 'query' ? byQuery(load) : byLog(load);
  const models = processes(load.changesPerSecond / applied.changesPerSecond);
  const perDay = (bytes: number): number => (load.changesPerSecond * 86_400 * bytes) / 2 ** 30;
  return {
    ...capture,
    models,
    modelCores: load.changesPerSecond * applied.cpuPerChange,
    readDatabaseCores: load.changesPerSecond * applied.databaseCpuPerChange,
    partitions: models * partitionsPerModel,
    logGibPerDay: [perDay(event.bytesInLog), perDay(event.bytes)],
  };
}

/** As measured: a read model works at so many partitions at once. */
const partitionsPerModel = 3;

type Capture = Pick<Need, 'captures' | 'captureCores' | 'captureMemoryMiB' | 'sourceCores' | 'brokerCores' | 'firstLoadHours'>;

function byQuery({ tables, rows, changesPerSecond, pollSeconds }: Load): Capture {
  const { load, poll, pollerMemory } = unitCosts;
  const polls = tables / pollSeconds;
  const work = changesPerSecond * load.pollerCpuPerRow + polls * poll.pollerCpu;
  // A process is one thread: it can use one core, and takes a part of that for itself.
  const captures = Math.max(1, Math.ceil(work / (planned - poll.processCpu)));
  return {
    captures,
    captureCores: work + captures * poll.processCpu,
    captureMemoryMiB: Math.max(pollerMemory.loading, pollerMemory.process + Math.ceil(tables / captures) * pollerMemory.table),
    sourceCores: changesPerSecond * load.sourceCpuPerRow + polls * poll.sourceCpu,
    brokerCores: poll.brokerBaseCpu + changesPerSecond * load.brokerCpuPerRow + polls * poll.brokerCpu,
    firstLoadHours: rows / load.rowsPerSecond / 3600,
  };
}

function byLog({ rows, changesPerSecond }: Load): Capture {
  const { debezium, load, poll } = unitCosts;
  return {
    // A task reads the whole log of its database: more tasks need more databases.
    captures: processes(changesPerSecond / debezium.changesPerSecond),
    captureCores: changesPerSecond * debezium.cpuPerChange,
    captureMemoryMiB: null,
    sourceCores: null,
    brokerCores: poll.brokerBaseCpu + changesPerSecond * load.brokerCpuPerRow,
    firstLoadHours: rows / debezium.snapshotRowsPerSecond / 3600,
  };
}

/** So many that each has no more to do than is planned. */
function processes(share: number): number {
  return Math.max(1, Math.ceil(share / planned));
}
