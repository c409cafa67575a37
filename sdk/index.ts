/**
 * The consumer of a service: changes of the legacy database's tables, handed to the service's own function in its own Postgres transaction.
 *
 * Promises: each change has its effect exactly once, through crashes, rebalances and stale instances; the changes of a key come in their order; none is
 * left out silently: it is handled, parked, or its partition halts by name. Without a database each change is handed over at least once (at-least-once/). Uses the read model's engine, and leaves capture to others.
 */
export { consume } from './consume.ts';
export type { Tx } from './apply/guard.ts';
export {
  Poison,
  type AnyChange,
  type Change,
  type ChangePlace,
  type ChangeRow,
  type ChangeValue,
  type WithPlace,
} from './changes/change.ts';
export type { AnyOutboxEvent, OutboxEvent } from './changes/outbox-event.ts';
export type {
  Consumer,
  ConsumerFreshness,
  ConsumerState,
  ConsumerStatus,
  Parked,
  ParkedChange,
  ParkedRetry,
  PartitionState,
  UnreadableRange,
} from './consumer.ts';
export type {
  AtLeastOnceConsumer,
  AtLeastOnceOptions,
  AtLeastOncePartition,
  AtLeastOnceStatus,
  PoisonedChange,
} from './at-least-once/options.ts';
export type {
  CommonOptions,
  ConsumeOptions,
  HandlerContext,
  KafkaSettings,
  NamedChange,
  OutboxTopic,
  RegistrySettings,
  Tables,
  TlsFiles,
} from './options.ts';
export { migrationSql } from './tables/migrate.ts';
