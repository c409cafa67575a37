import { eventDecoder } from '#change-events/index.ts';
import { addDisposableStacks } from '#pipeline/disposable-stacks.ts';
import { connectKafka } from '#kafka/index.ts';
import { CdcError, createLogger, describeError, type Logger } from '#pipeline/index.ts';
import { Pool, type PoolConfig } from 'pg';
import { faultOf, fingerprintOf, followFreshness, PartitionReader, retrying, schemaWaits } from '#read-model/engine/index.ts';
import { handlerSink } from './apply/handler-sink.ts';
import { createTroubles } from './apply/troubles.ts';
import type { Tx } from './apply/guard.ts';
import type { Change } from './changes/change.ts';
import { messageReader, type Delivered } from './changes/message-reader.ts';
import type { Consumer } from './consumer.ts';
import { consumeAtLeastOnce } from './at-least-once/consume.ts';
import type { AtLeastOnceConsumer, AtLeastOnceOptions } from './at-least-once/options.ts';
import { createLifetime } from './lifetime.ts';
import { openAdmin, untilEnded, type Reading } from './membership.ts';
import type { ConsumeOptions, HandlerContext, Tables } from './options.ts';
import type { Run } from './run.ts';
import { parkedChanges } from './parked.ts';
import { takeRetryRequests } from './retry-requests.ts';
import { onePrefix, partsOf, readSettings, type Settings } from './settings.ts';
import { watchConsumer } from './watch.ts';
import { ensureTables } from './tables/migrate.ts';
import { consumerWording } from './wording.ts';

type AnyTables = Readonly<Record<string, Change>>;
/** What the options are inside: any topic may be an outbox's. */
type AnyDelivered = Readonly<Record<string, Delivered>>;

/**
 * Joins the group and hands the changes of its topics to `handle`, batch by batch, each batch of one partition and in its order. Resolves when the
 * database and Kafka have answered and the consumer's tables are there; topics may come later. Ends when it is disposed or its signal is aborted, within
 * `endTimeoutMs` and a few seconds; `finished` says how.
 *
 * @throws CdcError CONSUMER_INVALID, CONSUMER_NOT_MIGRATED, CONSUMER_SCHEMA_TAKEN, CONSUMER_SCHEMA_NEWER, CONSUMER_DATABASE_REFUSED, KAFKA_UNREACHABLE (when
 *   kafka.whenUnavailable is `exit`)
 */
export async function consume<T extends Tables = AnyTables>(options: ConsumeOptions<T>): Promise<Consumer>;
/**
 * Without a database: each change is handed over at least once, and the position is committed to Kafka after the handler has resolved. A change may come
 * again after a crash, or when partitions move to another instance. Nothing is parked. Resolves when Kafka has answered; topics may come later. Ends when
 * it is disposed or its signal is aborted, and commits what was handled.
 *
 * @throws CdcError CONSUMER_INVALID, KAFKA_UNREACHABLE (when kafka.whenUnavailable is `exit`)
 */
export async function consume<T extends Tables = AnyTables>(options: AtLeastOnceOptions<T>): Promise<AtLeastOnceConsumer>;
export async function consume(
  options: ConsumeOptions<AnyDelivered> | AtLeastOnceOptions<AnyDelivered>,
): Promise<Consumer | AtLeastOnceConsumer> {
  return options.database === undefined ? consumeAtLeastOnce(options) : consumeOnce(options);
}

async function consumeOnce(options: ConsumeOptions<AnyDelivered>): Promise<Consumer> {
  addDisposableStacks();
  const settings = readSettings(options);
  const logger = (options.logger ?? createLogger('cdc-consumer')).child({ group: settings.group });
  const lifetime = createLifetime();
  const end = (): Promise<void> => lifetime.end(settings.endTimeoutMs);
  const onAbort = (): void => void end();
  if (options.signal?.aborted === true) throw options.signal.reason;
  await using opening = new AsyncDisposableStack();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  opening.defer(() => options.signal?.removeEventListener('abort', onAbort));
  const pool = openDatabase(options.database, opening, logger);
  await readyDatabase(pool, settings, logger, lifetime.signal);
  const kafka = connectKafka(settings.kafkaConfig, logger);
  const admin = opening.use(await openAdmin(kafka, settings, logger, lifetime.signal));
  const names = new Map(Object.entries(settings.topics).map(([name, { topic }]) => [topic, name]));
  const handle = async (changes: readonly Delivered[], tx: Tx, call: HandlerContext): Promise<void> =>
    options.handle(
      changes.map((change) => ({ ...change, name: names.get(change.topic) ?? change.topic })),
      tx,
      call,
    );
  const decoder = eventDecoder(settings.registry);
  const run: Run = {
    settings,
    pool,
    kafka,
    admin,
    decoder,
    readMessage: messageReader(decoder, Object.values(settings.topics)),
    logger,
    lifetime,
    troubles: createTroubles(),
    handle,
    state: 'joining',
  };
  const stack = opening.move();
  const context = { ...run, schema: settings.schema, timeoutMs: settings.handlerTimeoutMs, signal: lifetime.signal };
  const parked = parkedChanges(context);
  const beside = Promise.all([follow(run), takeRetryRequests(context, parked, logger, lifetime.signal)]);
  const finished = untilEnded(run, readingOf(run), beside, stack);
  finished.catch(() => undefined);
  return {
    finished,
    ...watchConsumer(run),
    parked,
    async [Symbol.asyncDispose]() {
      await end();
      await finished.catch(() => undefined);
    },
  };
}

/** Batches go to the handler, in transactions of the service's database. */
function readingOf(run: Run): Reading {
  const { settings, pool, admin, decoder, readMessage, logger, lifetime, troubles, handle } = run;
  const { schema } = settings;
  return {
    name: schema,
    startAt: 'beginning',
    reader: (until, onFailure) => {
      const context = { pool, schema, decoder, logger, signal: until };
      const sink = handlerSink({
        ...context,
        ...settings,
        handle,
        readMessage,
        timeoutMs: settings.handlerTimeoutMs,
        slices: { bytes: settings.batch.bytes, messages: settings.batch.changes },
        troubles,
        work: (piece) => lifetime.work(piece),
      });
      const reading = {
        ...context,
        fingerprint: fingerprintOf([]),
        admin,
        schemas: schemaWaits(context),
        onPoison: 'park',
        wording: consumerWording,
        haltsTogether: false,
        onFailure,
      } as const;
      return new PartitionReader(reading, sink);
    },
  };
}

/** Keeps the freshness of the topics, where they are of one capture: others' heartbeats have other clocks. */
async function follow({ settings, kafka, admin, decoder, pool, logger, lifetime }: Run): Promise<void> {
  const followed = Object.values(settings.topics);
  // An outbox's topics have no heartbeats.
  if (followed.some(({ value }) => value === 'outbox')) return;
  const topics = followed.map(({ topic }) => topic);
  const topicPrefix = onePrefix(topics);
  if (topicPrefix === null) return;
  const { schema, clockAheadMs } = settings;
  const tables = topics.map((topic) => partsOf(topic));
  await followFreshness({ schema, topicPrefix, tables, clockAheadMs, decoder, kafka, admin, pool, logger }, lifetime.signal).catch(
    () => undefined,
  );
}

/** The service's pool, or one of our own. A connection that is lost while it idles must not end the process. */
function openDatabase(database: ConsumeOptions<AnyTables>['database'], stack: AsyncDisposableStack, logger: Logger): Pool {
  const onError = (error: Error): void => logger.debug({ err: error }, 'an idle connection to the database was lost');
  if (isPool(database)) {
    database.on('error', onError);
    stack.defer(() => void database.off('error', onError));
    return database;
  }
  const pool = new Pool({ application_name: 'cdc consumer', keepAlive: true, connectionTimeoutMillis: 10_000, ...database });
  pool.on('error', onError);
  stack.defer(() => pool.end());
  return pool;
}

function isPool(database: Pool | PoolConfig): database is Pool {
  return 'connect' in database && typeof database.connect === 'function';
}

async function readyDatabase(pool: Pool, settings: Settings, logger: Logger, signal: AbortSignal): Promise<void> {
  try {
    await retrying('connecting to the database', logger, signal, () => ensureTables(pool, settings));
  } catch (error) {
    if (error instanceof CdcError || signal.aborted || faultOf(error) === 'passing') throw error;
    throw new CdcError('CONSUMER_DATABASE_REFUSED', describeError(error), { cause: error });
  }
}
