/**
 * What every folder shares and that is no folder's own subject: the catalogue of errors, the configuration file, the logger.
 * Talks to no server and imports nobody.
 */
export { formatPath, loadConfig, locateIn, parseConfig, type Locate, type SettingPath } from './config/load.ts';
export type { MirrorTableConfig } from './config/settings/model-settings.ts';
export { maskSecrets, maskUrls } from './config/mask.ts';
export type { Environment } from './config/interpolate.ts';
export {
  pipelineSchema,
  type ConnectConfig,
  type Credentials,
  type FallbackConfig,
  type GuardConfig,
  type KafkaConfig,
  type LegacyDbConfig,
  type OrdersConfig,
  type PipelineConfig,
  type PollerConfig,
  type PollerTableConfig,
  type QueryApiConfig,
  type ServiceAuthConfig,
  type ServiceHttpConfig,
  type ReadModelConfig,
  type SchemaRegistryConfig,
  type TlsConfig,
  type WireFormat,
} from './config/schema.ts';
export { pollerTableSchema } from './config/settings/poller-table-settings.ts';
export type { GatewayConfig, UpstreamConfig } from './config/settings/gateway-settings.ts';
export type { ServerTlsConfig } from './config/settings/listening-settings.ts';
export { ownMember } from './own-member.ts';
export { installLine } from './own-package.ts';
export { sweepPollerConfig } from './config/sweep-poller.ts';
export type { CliContext } from './cli/cli-context.ts';
export { mariadbConnectionOptions, mariadbIdTypes, mariadbOrderedTypes } from './mariadb.ts';
export { positiveNumber, wholeNumber } from './cli/number-options.ts';
export { lacksPassword, postgresClientConfig, sessionSql, tlsOptions, type DatabaseLocation } from './postgres.ts';
export { CdcError, describeError, errorExitCode, errorRemedy, type ErrorCode } from './errors.ts';
export {
  incrementingColumn,
  isUnique,
  keyColumns,
  publishedColumns,
  readColumns,
  tieBreakers,
  timestampColumns,
  type TableKeys,
} from './polled-table.ts';
export { mariadbAccount, mariadbName, mariadbTable, mariadbText, postgresName } from './sql-names.ts';
export { canonicalTableName, formatTableName, isTablePattern, matchesTable, parseTableName } from './table-name.ts';
export { markdownTable, wrapped } from './reference/markdown.ts';
export { nodeFlags } from './cli/node-flags.ts';
export { atMost, pause, unlessAborted } from './pause.ts';
export { createLogger, silentLogger, type Logger } from './logger.ts';
export { serveMonitoring, type Monitored, type MonitoringServer } from './monitoring-server.ts';
export { visible, visibleLine } from './cli/visible.ts';
