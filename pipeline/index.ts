/**
 * What every folder shares and that is no folder's own subject: the catalogue of errors, the configuration file, the logger.
 * Talks to no server and imports nobody.
 */
export { loadConfig, parseConfig } from './config/load.ts';
export { maskSecrets } from './config/mask.ts';
export type { Environment } from './config/interpolate.ts';
export {
  pipelineSchema,
  type ConnectConfig,
  type Credentials,
  type GuardConfig,
  type KafkaConfig,
  type LegacyDbConfig,
  type PipelineConfig,
  type PollerConfig,
  type PollerTableConfig,
  type ReadModelConfig,
  type SchemaRegistryConfig,
  type TlsConfig,
  type WireFormat,
} from './config/schema.ts';
export { sweepPollerConfig } from './config/sweep-poller.ts';
export type { CliContext } from './cli-context.ts';
export { mariadbConnectionOptions, mariadbIdTypes, mariadbOrderedTypes } from './mariadb.ts';
export { positiveNumber, wholeNumber } from './number-options.ts';
export { lacksPassword, postgresClientConfig, tlsOptions, type DatabaseLocation } from './postgres.ts';
export { CdcError, describeError, type ErrorCode } from './errors.ts';
export {
  incrementingColumn,
  isTablePattern,
  isUnique,
  keyColumns,
  matchesTable,
  publishedColumns,
  readColumns,
  tieBreakers,
  timestampColumns,
  type TableKeys,
} from './polled-table.ts';
export { nodeFlags } from './node-flags.ts';
export { atMost, pause } from './pause.ts';
export { createLogger, silentLogger, type Logger } from './logger.ts';
