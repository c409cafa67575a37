/**
 * The read side: mirror tables and the denormalised order view in Postgres, kept from the topics of one capture strategy per model.
 *
 * Promises: rows and Kafka position commit in one transaction, so every event has its effect exactly once, through crashes, rebalances,
 * replays and stale consumers; any interleaving of topics ends in the same view; nothing is skipped silently. Knows Kafka and its own
 * database only, never the legacy one nor which strategy wrote the events. Leaves capture to others, and Kafka to kafka/.
 */
export { projectionFilesOf } from './views/project-files.ts';
export { wantedMirrors, type WantedMirror } from './mirrors/plan/wanted-mirrors.ts';
export { inTransaction, openPool, queryText, qualified, unreachable, type Database, type TextRow } from './database.ts';
export { haltedPartitions } from './faults/halts.ts';
export { describeFreshness, readFreshness } from './freshness/read-freshness.ts';
export {
  formatPosition,
  hasReached,
  laterBy,
  parseWanted,
  positionMost,
  type Reached,
  readOffsets,
  type Position,
  type Wanted,
} from './freshness/position.ts';
export { migrate, requireMigrated, type Migrated } from './migrate.ts';
export { createReadModelMetrics } from './monitoring/metrics.ts';
export { loadMirrors } from './mirrors/mirror-catalogue.ts';
export type { Mirror } from './mirrors/mirror.ts';
export { deletedColumn, lsnColumn } from './mirrors/own-columns.ts';
export { readDatabaseConfig, requireModel, requireReadModel, selectModels, topicOfMirror } from './model-config.ts';
export { parkedCounts } from './parking/parked-events.ts';
export { readVersion } from './rebuild/versions.ts';
export { startReadModel, type ReadModelOptions, type RunningReadModel } from './start.ts';
