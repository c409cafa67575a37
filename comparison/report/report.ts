import type { WorkloadStatistics } from '#legacy-db/index.ts';
import type { ClaimResult } from '../outcomes/claims.ts';
import type { PerStrategy } from '../strategy.ts';
import type { StrategyReport } from '../strategy-report.ts';

/** The result of a comparison. JSON as it is; `format` grows when a field changes its meaning. */
export type ComparisonReport = {
  readonly format: 2;
  /** When the window opened and when all strategies had caught up, ISO 8601. */
  readonly startedAt: string;
  readonly caughtUpAt: string;
  readonly tables: readonly string[];
  readonly workload: WorkloadStatistics | null;
  readonly strategies: PerStrategy<StrategyReport>;
  readonly claims: readonly ClaimResult[];
  /** What limits the figures: clocks, messages that could not be read, a source that moved. */
  readonly notes: readonly string[];
};

/** The report as JSON text. */
export function reportJson(report: ComparisonReport): string {
  return JSON.stringify(report, null, 2);
}
