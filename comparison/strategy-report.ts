import type { Cost } from './cost/cost.ts';
import type { TableEvents } from './events/count.ts';
import type { FinalState } from './final-state/compare-state.ts';
import type { Latencies } from './latency/latencies.ts';
import type { Measured } from './measured.ts';
import type { Setup } from './source/setup.ts';

/** What was measured of one strategy. */
export type StrategyReport = {
  readonly topicPrefix: string;
  /** The schema of its read model. */
  readonly model: string;
  /** By `schema.table`. */
  readonly events: Measured<Readonly<Record<string, TableEvents>>>;
  readonly state: FinalState;
  readonly latency: Latencies;
  readonly setup: Measured<Setup>;
  readonly cost: Measured<Cost>;
};
