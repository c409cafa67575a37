/**
 * Measures the strategies side by side on the same run (the log, queries, and queries with the key sweep): an observer of their topics, the ledger of truth in the legacy
 * database, the read models' rows, commit times, what each asked of the source; judged claim by claim.
 *
 * Promises: figures that were measured, or a reason why not; keys behind every difference (the first of them); memory bounded by the
 * number of events kept; nothing written to the legacy database but the heartbeat row, nothing to Kafka or the read database. Leaves to
 * others: running the pollers, the connector, the read models and the workload.
 */
export { demoCommand } from './demo/demo-command.ts';
export { comparisonFromConfig } from './from-config.ts';
export { runComparison, startComparison, type ComparisonInput, type RunningComparison } from './run.ts';
export type { PerStrategy, Strategy } from './strategy.ts';
export type { Outcome } from './outcomes/outcome.ts';
export type { ClaimResult } from './outcomes/claims.ts';
export type { StrategyReport } from './strategy-report.ts';
export type { ComparisonReport } from './report/report.ts';
export { renderTerminal } from './report/terminal.ts';
