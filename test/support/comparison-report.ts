import type { TableEvents } from '#comparison/events/count.ts';
import type { RowDifferences } from '#comparison/final-state/merge.ts';
import type { KeyList } from '#comparison/report/key-list.ts';
import type { Distribution } from '#comparison/latency/percentiles.ts';
import { measured, notMeasured, type Measured } from '#comparison/measured.ts';
import type { Setup } from '#comparison/source/setup.ts';
import type { StrategyReport } from '#comparison/strategy-report.ts';

/** One case for each key given. */
export function keyList(...keys: string[]): KeyList {
  return { count: keys.length, keys: [...new Set(keys)] };
}

export function tableEvents(events: Partial<TableEvents>): TableEvents {
  return {
    states: { committed: 0, superseded: 0, seen: 0, lost: keyList() },
    withinTransactions: { made: 0, seen: 0 },
    deletes: { committed: 0, seen: 0, lost: keyList(), ofUnseen: keyList() },
    truncates: { committed: 0, seen: 0 },
    beforeImages: { complete: 0, incomplete: 0, absent: 0 },
    tombstones: 0,
    duplicates: keyList(),
    outOfOrder: keyList(),
    unexplained: keyList(),
    ...events,
  };
}

export function differences(rows: Partial<RowDifferences> = {}): RowDifferences {
  return { source: 10, model: 10, equal: 10, missing: keyList(), ghost: keyList(), stale: keyList(), staleColumns: {}, ...rows };
}

function latency(ms: number | null): Measured<Distribution> {
  return ms === null ? notMeasured('no event of this run arrived') : measured({ n: 10, p50: ms, p95: ms, p99: ms, max: ms });
}

/** A report of one table, public.orders, whose order view is right if its rows are. `latencyMs` is every percentile. */
export function strategyReport(parts: {
  readonly events: TableEvents;
  readonly rows: RowDifferences;
  readonly setup?: Setup;
  readonly latencyMs?: number | null;
  /** Every percentile of deletes; default as `latencyMs`. */
  readonly deleteLatencyMs?: number | null;
}): StrategyReport {
  const { events, rows, setup, latencyMs = 20, deleteLatencyMs = latencyMs } = parts;
  const [states, deletes] = [latency(latencyMs), latency(deleteLatencyMs)];
  return {
    topicPrefix: 'test',
    model: 'test_model',
    events: measured({ 'public.orders': events }),
    state: { tables: { 'public.orders': measured(rows) }, orderView: measured({ ...rows, ghost: keyList() }) },
    latency: {
      toKafka: states,
      toReadModel: states,
      deletesToKafka: deletes,
      deletesToReadModel: deletes,
      withoutCommitTime: 0,
      withoutBatch: 0,
    },
    setup: setup === undefined ? notMeasured('the roles are not known') : measured(setup),
    cost: notMeasured('nobody looked'),
  };
}
