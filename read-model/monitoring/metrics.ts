import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { ModelStatus, PartitionStatus } from '../status.ts';
import type { ModelState } from './model-states.ts';

export type ReadModelMetrics = {
  /** For the reference of metrics. */
  readonly registry: Registry;
  readonly contentType: string;
  /** Prometheus' text of what this process does about its models, and how they are. */
  readonly render: (doing: ReadonlyMap<string, ModelState>, found: readonly ModelStatus[]) => Promise<string>;
};

const ofModels: readonly { readonly name: string; readonly help: string; readonly sample: (model: ModelStatus) => number | null }[] = [
  {
    name: 'staleness_seconds',
    help: 'Age of the time up to which the model is complete. Absent while no heartbeat has come.',
    sample: ({ freshness }) => freshness.staleSeconds,
  },
  {
    name: 'stale',
    help: '1 while the model is older than its staleAfterMs, or its age is not known.',
    sample: ({ freshness }) => Number(freshness.state !== 'fresh'),
  },
  {
    name: 'given_up',
    help: '1 if an error has ended the model in the process that applied it.',
    sample: ({ stopped }) => Number(stopped !== null),
  },
  { name: 'version', help: 'The version of the model that serves.', sample: ({ version }) => version },
  { name: 'rebuilding', help: '1 while a new version is being filled.', sample: ({ rebuilding }) => Number(rebuilding !== null) },
  { name: 'halted_views', help: 'Views that halt.', sample: ({ haltedViews }) => haltedViews.length },
];

const ofPartitions: readonly { readonly name: string; readonly help: string; readonly sample: (of: PartitionStatus) => number | null }[] = [
  {
    name: 'applied_offset',
    help: 'Offset up to which the partition is applied or parked.',
    sample: ({ appliedOffset }) => Number(appliedOffset),
  },
  {
    name: 'lag_offsets',
    help: 'Offsets between what is applied and the end of the partition. Control records count: an upper bound of events.',
    sample: ({ lag }) => (lag === null ? null : Number(lag)),
  },
  { name: 'parked_events', help: 'Events that are parked, so not in the tables.', sample: ({ parked }) => parked },
  { name: 'halted', help: '1 while the partition halts before an event.', sample: ({ halted }) => Number(halted !== null) },
];

const states = [
  'starting',
  'waiting for topics',
  'waiting to take over',
  'joining',
  'consuming',
  'ended',
] as const satisfies readonly ModelState[];

/**
 * Metrics named `cdc_read_model_…`, and those of the Node process. All but `state` are of the model, whichever process applies it: each process
 * that runs it shows the same.
 */
export function createReadModelMetrics(): ReadModelMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, labelNames: readonly string[]): Gauge =>
    new Gauge({ name: `cdc_read_model_${name}`, help, labelNames: [...labelNames], registers: [registry] });
  const state = gauge('state', '1 for what this process is doing about the model, 0 for everything else.', ['model', 'state']);
  const models = ofModels.map(({ name, help, sample }) => ({ sample, metric: gauge(name, help, ['model']) }));
  const partitions = ofPartitions.map(({ name, help, sample }) => ({ sample, metric: gauge(name, help, ['model', 'topic', 'partition']) }));
  const torn = new Counter({
    name: 'cdc_read_model_torn_transactions_total',
    help: 'With consistency: transaction: source transactions that were seen in parts after all.',
    labelNames: ['model'],
    registers: [registry],
  });
  return {
    registry,
    contentType: registry.contentType,
    async render(doing, found) {
      // A model or partition that is gone is not shown any more.
      for (const { metric } of [...models, ...partitions]) metric.reset();
      state.reset();
      torn.reset();
      for (const [model, now] of doing) for (const one of states) state.set({ model, state: one }, Number(one === now));
      for (const status of found) {
        const { model } = status;
        for (const { metric, sample } of models) setKnown(metric, { model }, sample(status));
        torn.inc({ model }, Number(status.tornTransactions));
        for (const of of status.partitions) {
          const labels = { model, topic: of.topic, partition: String(of.partition) };
          for (const { metric, sample } of partitions) setKnown(metric, labels, sample(of));
        }
      }
      return await registry.metrics();
    },
  };
}

function setKnown(metric: Gauge, labels: Readonly<Record<string, string>>, value: number | null): void {
  if (value !== null) metric.set({ ...labels }, value);
}
