/**
 * What one unit of work costs, as it was measured: two cores (AMD EPYC), Node 24, all servers beside each other on one machine. The capacity model has no other
 * figures. Each names where it is from: measure again, change it here, and `npm run docs:capacity` writes the page.
 */
export const unitCosts = {
  /** bench/results/poller.md, kafkajs, 1,000,000 order rows of one table. */
  load: {
    rowsPerSecond: 143_926,
    pollerCpuPerRow: 0.66 / 100_000,
    /** 1.14 of all processes less the poller's. Half each is an assumption: the bench does not part them. */
    sourceCpuPerRow: 0.24 / 100_000,
    brokerCpuPerRow: 0.24 / 100_000,
  },
  /**
   * bench/results/capacity-20.md and capacity.md: 20 tables in one process, 200 in two, that nobody writes to, each asked every five seconds. Two runs, two
   * unknowns: what a process takes, and what a poll takes. capacity-60.md was left out, to check with. Of the source, the run with 200 alone: a line through both
   * runs would begin below nothing.
   */
  poll: { processCpu: 0.0514, pollerCpu: 0.00716, sourceCpu: 0.387 / 40, brokerCpu: 0.00275, brokerBaseCpu: 0.164 },
  /** MiB. The same two runs; bench/results/poller.md for a process that loads. */
  pollerMemory: { process: 108, table: 2.19, loading: 232 },
  /** bench/results/read-model.md, mixed changes, kafkajs. One process with three partitions. */
  apply: { changesPerSecond: 108_648, cpuPerChange: 0.81 / 100_000, databaseCpuPerChange: 0.49 / 100_000, memory: 301 },
  /** The same with a view over three tables. */
  applyWithView: { changesPerSecond: 61_562, cpuPerChange: 0.89 / 100_000, databaseCpuPerChange: 1.49 / 100_000, memory: 315 },
  /** docs/benchmarks.md, "Other tools": one task, single-row transactions. CPU of its snapshot, for want of a figure while streaming. */
  debezium: { changesPerSecond: 24_000, snapshotRowsPerSecond: 40_000, cpuPerChange: 3.9 / 100_000 },
  /** bench/results/formats.md, JSON: before compression, and in the log with zstd. Order rows repeat themselves more than yours do. */
  event: { bytes: 437, bytesInLog: 26.7 },
} as const;

/** How much of a core, or of a process' rate, is planned with. The rest is for peaks, catching up and what else the machine does. */
export const planned = 0.6;
