/**
 * Query-based change capture: polls tables by their timestamp and id columns and publishes every committed row version that it can see,
 * once, in commit order per key, whatever the order in which transactions commit (fence/). Position and events are one Kafka
 * transaction (position/). Needs SELECT and nothing else; creates, changes and locks nothing in the legacy database.
 *
 * Leaves to others: deletes (invisible to a query), states that were overwritten between two polls, and what to do with events.
 */
export { loggedTables, polledTables } from './captured-tables.ts';
export { fetchFigures, httpUrlOf } from './metrics/live-figures.ts';
export { createMetrics } from './metrics/prometheus.ts';
export { readHorizons, readHorizonsSwept, readStatus, type TableStatus } from './positions-view.ts';
export { runPoller, type PollerOptions } from './poller.ts';
