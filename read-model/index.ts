/**
 * The read side: mirror tables and the denormalised order view in Postgres, kept from the topics of one capture strategy per model.
 *
 * Promises: rows and Kafka position commit in one transaction, so every event has its effect exactly once, through crashes, rebalances,
 * replays and stale consumers; any interleaving of topics ends in the same view; nothing is skipped silently. Knows Kafka and its own
 * database only, never the legacy one nor which strategy wrote the events. Leaves capture to others, and Kafka to kafka/.
 */
export { migrate } from './migrate.ts';
export { startReadModel, type ReadModelOptions, type RunningReadModel } from './start.ts';
