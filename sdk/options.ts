import type { Logger } from '#pipeline/index.ts';
import type { Pool, PoolConfig } from 'pg';
import type { Tx } from './apply/guard.ts';
import type { AnyChange, WithPlace } from './changes/change.ts';
import type { AnyOutboxEvent } from './changes/outbox-event.ts';

/** The files of a TLS connection, PEM. */
export type TlsFiles = {
  /** Refuse a server whose certificate is not signed by a trusted CA. Default: true. */
  readonly rejectUnauthorized?: boolean | undefined;
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
};

/** How Kafka is reached: the section `kafka` of pipeline.yaml. */
export type KafkaSettings = {
  /** host:port, a list or one text with commas. */
  readonly brokers: string | readonly string[];
  readonly clientId?: string;
  /** The Kafka library. All processes of one group must use the same one. Default: kafkajs. */
  readonly client?: 'kafkajs' | 'platformatic';
  readonly tls?: TlsFiles | undefined;
  readonly sasl?:
    | { readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; readonly username: string; readonly password: string }
    | undefined;
  /** If no broker answers at start: wait for one, or reject. Default: wait. */
  readonly whenUnavailable?: 'wait' | 'exit';
  readonly requestTimeoutMs?: number;
  /** Largest record batch, unpacked, in MiB. A larger one is not read: its partition halts and says so. Default: 64. */
  readonly maxBatchMb?: number;
};

/** A schema registry, for topics as Avro or JSON Schema: the section `schemaRegistry` of pipeline.yaml. */
export type RegistrySettings = {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: TlsFiles | undefined;
  readonly requestTimeoutMs?: number;
};

/** What a service follows: a name of its own for each table or outbox, and the type of its changes or events. */
export type Tables = Readonly<Record<string, AnyChange | AnyOutboxEvent>>;

/** A topic that Debezium's outbox event router writes to. */
export type OutboxTopic = { readonly topic: string; readonly value: 'outbox' };

/** How the topic of such changes or events is named. */
export type TopicOf<D> = D extends AnyOutboxEvent ? OutboxTopic : string;

/** A change or event with the service's own name of where it is from. */
export type NamedChange<T extends Tables> = { [Name in keyof T]: Whole<T[Name]> & { readonly name: Name } }[keyof T];

type Whole<D> = D extends AnyChange ? WithPlace<D> : D;

/** Of one call of a handler, beside its changes. */
export type HandlerContext = {
  /** Aborted when the handler is not waited for any more: its time is over, or the consumer ends. */
  readonly signal: AbortSignal;
  /** Counts from 1: the same changes are handed over again after a failure. */
  readonly attempt: number;
};

export type CommonOptions<T extends Tables> = {
  readonly kafka: KafkaSettings;
  /** Needed where topics are Avro or JSON Schema. */
  readonly schemaRegistry?: RegistrySettings | undefined;
  /** Kafka's consumer group. All instances of the service share it, and the partitions. */
  readonly group: string;
  /**
   * The topic of each table, `log.public.orders` for example; of an outbox `{ topic: 'outbox.event.order', value: 'outbox' }`. A topic that does not
   * exist yet is waited for.
   */
  readonly topics: { readonly [Name in keyof NoInfer<T>]: TopicOf<NoInfer<T>[Name]> };
  /** Most bytes (as they are in Kafka) and changes of one call of the handler. Default: 1 MiB and 500. */
  readonly batch?: { readonly bytes?: number; readonly changes?: number };
  /** Partitions handed over at the same time. With a database each takes a connection. Default: 4. */
  readonly concurrency?: number;
  /** How long a call of the handler may take, in ms. Default: 60000. */
  readonly handlerTimeoutMs?: number;
  /** Longest pause before a batch that failed is handed over again, in ms. Pauses begin at 100 ms and double. Default: 30000. */
  readonly retryMaxMs?: number;
  /** How long handlers at work are waited for when the consumer ends, in ms. Default: 10000. */
  readonly endTimeoutMs?: number;
  /** Aborting it ends the consumer as disposing does. */
  readonly signal?: AbortSignal | undefined;
  /** A pino logger. Default: JSON lines on standard error, of the level in LOG_LEVEL. */
  readonly logger?: Logger | undefined;
};

/** With the service's own Postgres: the effects of the handler and the position commit together, so that each change has its effect exactly once. */
export type ConsumeOptions<T extends Tables> = CommonOptions<T> & {
  /** The service's pool, or the settings of one. */
  readonly database: Pool | PoolConfig;
  /** The schema of the consumer's own tables, one a group. Default: cdc_consumer. */
  readonly schema?: string;
  /** `auto` makes them; `require` rejects with CONSUMER_NOT_MIGRATED where they are missing. Default: auto. */
  readonly migrate?: 'auto' | 'require';
  /**
   * A handler that throws is given the same changes again, for as long as it takes (`retry`), or after `tries` tries the one change at fault is found and
   * parked (`park`). A server that is away parks nothing. Default: retry.
   */
  readonly onError?: 'retry' | 'park';
  /** Default: 5. */
  readonly tries?: number;
  /** Most changes that may be parked; beyond it the partition halts. Default: 10000. */
  readonly parkedMax?: number;
  /** Older than this, `freshness` calls the service stale, in ms. Default: 60000. */
  readonly staleAfterMs?: number;
  /** How far the source's clock is known to be ahead, in ms. Default: 0. */
  readonly clockAheadMs?: number;
  /**
   * Handles changes of one partition, in their order. What it does with `tx` commits with the position when it resolves, and is rolled back when it
   * rejects. It must not end the transaction, and await all its queries.
   */
  handle(changes: readonly NamedChange<T>[], tx: Tx, context: HandlerContext): Promise<void>;
};
