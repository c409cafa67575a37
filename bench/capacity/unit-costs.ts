/**
 * What one unit of work costs: each figure once, with the page that it was measured on (a file of bench/results, unless it names another). The model
 * (model.ts) multiplies these and nothing else. After a new run of a benchmark, its figures are put here by hand, so that a change is seen in review.
 */
export type UnitCost = {
  readonly value: number;
  readonly unit: string;
  readonly what: string;
  /** A file of bench/results; of docs; or `assumed`, with the reason. */
  readonly from: string;
};

function cost(value: number, unit: string, what: string, from: string): UnitCost {
  return { value, unit, what, from };
}

/** CPU in seconds of one core of the machine that the benchmarks ran on. */
export const unitCosts = {
  loadPoller: cost(0.66, 'CPU s per 100,000 rows', 'a load: the poller reads, encodes and sends', 'poller.md'),
  loadAll: cost(1.14, 'CPU s per 100,000 rows', 'a load: the poller, the source’s Postgres and the broker together', 'poller.md'),
  loadRate: cost(143_926, 'rows/s', 'one table’s load by one process, beside its servers on two cores', 'poller.md'),
  loadRss: cost(232, 'MiB', 'a poller that loads', 'poller.md'),

  idlePoller: cost(1.36, 'CPU ms per poll', 'a poll of an idle table, with the write of its position: the poller', 'capacity-model.md'),
  idleSource: cost(1.62, 'CPU ms per poll', 'the same: the source’s Postgres', 'capacity-model.md'),
  idleBroker: cost(0.99, 'CPU ms per poll', 'the same: the broker', 'capacity-model.md'),
  tableRss: cost(0.5, 'MiB per table', 'a poller that polls it', 'capacity-model.md'),
  baseRss: cost(139, 'MiB', 'a poller without tables', 'capacity-model.md'),

  busyPoller: cost(11.67, 'CPU ms per poll', 'a poll that finds rows, without the rows: the poller', 'capacity-model.md'),
  busyBroker: cost(28.48, 'CPU ms per poll', 'the same, and the fetches of its reader: the broker', 'capacity-model.md'),
  busyApply: cost(
    6.15,
    'CPU ms per poll',
    'a batch that such a poll gives the read model, without the rows: the process',
    'capacity-model.md',
  ),
  busyDatabase: cost(3.87, 'CPU ms per poll', 'the same: its Postgres', 'capacity-model.md'),

  applyMirror: cost(0.81, 'CPU s per 100,000 changes', 'the read model, a mirror alone, mixed changes', 'read-model.md'),
  applyMirrorDatabase: cost(0.49, 'CPU s per 100,000 changes', 'the same: its Postgres', 'read-model.md'),
  applyView: cost(0.89, 'CPU s per 100,000 changes', 'the read model, a mirror and the order view, mixed changes', 'read-model.md'),
  applyViewDatabase: cost(1.49, 'CPU s per 100,000 changes', 'the same: its Postgres', 'read-model.md'),
  applyRate: cost(108_648, 'changes/s', 'one process, a mirror alone, beside its servers on two cores', 'read-model.md'),
  applyViewRate: cost(61_562, 'changes/s', 'one process, a mirror and the order view, the same', 'read-model.md'),
  applyRss: cost(315, 'MiB', 'a read-model process', 'read-model.md'),

  eventJson: cost(437, 'bytes', 'key and value of an order’s event, JSON, before compression', 'formats.md'),
  eventAvro: cost(181, 'bytes', 'the same, Avro', 'formats.md'),
  eventJsonSchema: cost(447, 'bytes', 'the same, JSON Schema', 'formats.md'),

  debeziumRate: cost(40_000, 'changes/s', 'one task, measured in a snapshot; streaming was not measured apart', 'docs/benchmarks.md'),
  debeziumCpu: cost(2.5, 'CPU s per 100,000 changes', 'one task', 'assumed: one core, busy throughout, at its measured rate'),
  debeziumRss: cost(1024, 'MiB', 'a Connect worker', 'assumed: the heap that the stack gives it'),
} as const satisfies Readonly<Record<string, UnitCost>>;

/** What the model takes for granted, so that a reader can put other figures in. */
export const assumptions = {
  /** Share of one core that a process is planned to use: the rest is for catching up. */
  plannedUse: { value: 0.6, what: 'share of its one core that a process of Node is planned to use' },
  /** Cores of one database server. */
  databaseCores: { value: 16, what: 'cores of one Postgres, of which the same share is planned' },
  /** The sample's events shrink to a sixteenth, because its rows are alike. */
  compression: { value: 4, what: 'how many times zstd makes the events of ordinary rows smaller (the sample’s: 16, its rows are alike)' },
  processRss: { value: 1024, what: 'MiB that a poller process is planned to take, which limits its tables' },
  loadHours: { value: 24, what: 'hours in which everything is to be loaded for the first time' },
  replicas: { value: 3, what: 'copies of a topic in the cluster' },
  sampleRowBytes: { value: 100, what: 'bytes of a row of the sample, whose events were measured; a longer row makes a longer event' },
  mirrorOverhead: { value: 2, what: 'bytes of a mirror with its indexes for a byte of the source' },
} as const;
