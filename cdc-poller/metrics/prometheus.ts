import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { TableFigures } from './table-monitor.ts';

/** What the endpoint shows besides the tables. */
export type ProcessFigures = {
  readonly poller: string;
  readonly sharing: 'group' | 'takeover';
  /** Whether this process is a member of the group that shares the tables; null when none is shared. */
  readonly member: boolean | null;
  readonly tables: readonly TableFigures[];
};

export type Metrics = {
  /** For the reference of metrics. */
  readonly registry: Registry;
  readonly contentType: string;
  /** The text of /metrics. */
  render(): Promise<string>;
  /** A poll took this long, in seconds. */
  polled(table: string, seconds: number): void;
};

type Sample = (figures: TableFigures) => number | null;

/** Figures that are read off the tables when the endpoint is asked, so that nothing can be forgotten to be set. */
const gauges: readonly { readonly name: string; readonly help: string; readonly sample: Sample }[] = [
  {
    name: 'lag_seconds',
    help: 'Age of the oldest committed row version that is not published, at most. During the first load: time since its start.',
    sample: ({ lagSeconds }) => lagSeconds,
  },
  {
    name: 'fence_lag_seconds',
    help: 'How far the floor is behind the clock of the legacy server. It grows while a transaction stays open.',
    sample: ({ fenceLagSeconds }) => fenceLagSeconds,
  },
  {
    name: 'held_back_by_age_seconds',
    help: 'Age of the transaction that holds the floor back, if the role may see it (pg_read_all_stats).',
    sample: ({ heldBackBy }) => (heldBackBy === null || heldBackBy.ageSeconds === 'not permitted' ? null : heldBackBy.ageSeconds),
  },
  {
    name: 'remembered_keys',
    help: 'Published row versions that the poller remembers while an older transaction is open.',
    sample: ({ rememberedKeys }) => rememberedKeys,
  },
  {
    name: 'window_width',
    help: 'Width of the overlap window, in seconds or (mode incrementing) in ids. A row that is later than this is lost.',
    sample: ({ window }) => window?.width ?? null,
  },
  {
    name: 'window_latest',
    help: 'Largest delay of a row so far, in seconds or ids. Keep window_width far above it.',
    sample: ({ window }) => window?.latest ?? null,
  },
  {
    name: 'last_success_timestamp_seconds',
    help: 'Time of the last successful poll, or page of a load.',
    sample: ({ lastSuccessAt }) => (lastSuccessAt === null ? null : Date.parse(lastSuccessAt) / 1000),
  },
  {
    name: 'sweep_last_success_timestamp_seconds',
    help: 'Time of the last key sweep that was not discarded. While it does not move, deletes are not found.',
    sample: ({ sweep }) =>
      sweep?.lastSuccessAt === undefined || sweep.lastSuccessAt === null ? null : Date.parse(sweep.lastSuccessAt) / 1000,
  },
  {
    name: 'interval_seconds',
    help: 'Current interval between polls.',
    sample: ({ intervalMs }) => (intervalMs === null ? null : intervalMs / 1000),
  },
  { name: 'stuck', help: '1 if the table has failed, or has had no successful poll for too long.', sample: ({ stuck }) => (stuck ? 1 : 0) },
  {
    name: 'load_rows_remaining',
    help: 'Rows still to load, as the planner estimates.',
    sample: ({ load }) => load?.rowsRemaining ?? null,
  },
  { name: 'load_rows_per_second', help: 'Rows loaded per second.', sample: ({ load }) => load?.rowsPerSecond ?? null },
];

const counters: readonly { readonly name: string; readonly help: string; readonly sample: Sample }[] = [
  {
    name: 'rows_published_total',
    help: 'Published rows whose transaction in Kafka is committed.',
    sample: ({ rowsPublished }) => rowsPublished,
  },
  { name: 'rows_read_total', help: 'Rows read from the legacy database.', sample: ({ rowsRead }) => rowsRead },
  { name: 'sweeps_total', help: 'Finished key sweeps, discarded ones included.', sample: ({ sweep }) => sweep?.sweeps ?? null },
  {
    name: 'deletes_published_total',
    help: 'Deletes that key sweeps found and published.',
    sample: ({ sweep }) => sweep?.deletesPublished ?? null,
  },
  { name: 'polls_total', help: 'Polls that reached the end of the table.', sample: ({ polls }) => polls },
  {
    name: 'rows_skipped_total',
    help: 'Rows left out because their event is larger than the topic allows (onTooLarge: skip).',
    sample: ({ leftOut }) => leftOut.skipped,
  },
  {
    name: 'rows_dead_lettered_total',
    help: 'Rows reported as dead letters because their event is larger than the topic allows (onTooLarge: dead-letter).',
    sample: ({ leftOut }) => leftOut.deadLettered,
  },
  { name: 'queries_total', help: 'Statements sent to the legacy database.', sample: ({ queries }) => queries },
];

const phases = ['starting', 'loading', 'polling', 'waiting', 'failed'] as const satisfies readonly TableFigures['phase'][];

/** Metrics of one poller process in a registry of their own, named `cdc_poller_…`, and those of the Node process. */
export function createMetrics(figures: () => ProcessFigures): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const { name, help, sample } of gauges) {
    gauge(registry, name, help, (set) => {
      for (const table of figures().tables) {
        const value = sample(table);
        if (value !== null) set({ table: table.table }, value);
      }
    });
  }
  gauge(
    registry,
    'phase',
    '1 for the current phase of the table, 0 for the others.',
    (set) => {
      for (const { table, phase } of figures().tables) for (const name of phases) set({ table, phase: name }, name === phase ? 1 : 0);
    },
    ['table', 'phase'],
  );
  gauge(
    registry,
    'group_member',
    '1 while this process is a member of the group that shares the tables.',
    (set) => {
      const { member } = figures();
      if (member !== null) set({}, member ? 1 : 0);
    },
    [],
  );
  for (const { name, help, sample } of counters) {
    counter(registry, name, help, ['table'], (set) => {
      for (const table of figures().tables) {
        const value = sample(table);
        if (value !== null) set({ table: table.table }, value);
      }
    });
  }
  counter(registry, 'errors_total', 'Errors by code.', ['table', 'code'], (set) => {
    for (const { table, errors } of figures().tables) for (const [code, times] of Object.entries(errors)) set({ table, code }, times);
  });
  const durations = new Histogram({
    name: 'cdc_poller_poll_duration_seconds',
    help: 'From the start of a poll until its events are committed.',
    labelNames: ['table'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  return {
    registry,
    contentType: registry.contentType,
    render: () => registry.metrics(),
    polled: (table, seconds) => durations.observe({ table }, seconds),
  };
}

type SetSample = (labels: Readonly<Record<string, string>>, value: number) => void;

function gauge(registry: Registry, name: string, help: string, fill: (set: SetSample) => void, labelNames = ['table']): void {
  registry.registerMetric(
    new Gauge({
      name: `cdc_poller_${name}`,
      help,
      labelNames,
      registers: [],
      collect() {
        // A table that has moved to another process is not shown any more.
        this.reset();
        fill((labels, value) => this.set({ ...labels }, value));
      },
    }),
  );
}

function counter(registry: Registry, name: string, help: string, labelNames: readonly string[], fill: (set: SetSample) => void): void {
  registry.registerMetric(
    new Counter({
      name: `cdc_poller_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [],
      collect() {
        this.reset();
        fill((labels, value) => this.inc({ ...labels }, value));
      },
    }),
  );
}
