import { eventDecoder } from '#change-events/index.ts';
import { addDisposableStacks } from '#pipeline/disposable-stacks.ts';
import { connectKafka, type Kafka, type KafkaAdmin } from '#kafka/index.ts';
import { CdcError, createLogger, describeError, pause, type Logger } from '#pipeline/index.ts';
import { Pool, type PoolConfig } from 'pg';
import {
  faultOf,
  fingerprintOf,
  followFreshness,
  joinUntilMoreTopics,
  PartitionReader,
  retrying,
  schemaWaits,
  waitForNewTopics,
} from '#read-model/engine/index.ts';
import { handlerSink } from './apply/handler-sink.ts';
import { createTroubles } from './apply/troubles.ts';
import type { Tx } from './apply/guard.ts';
import type { Change } from './changes/change.ts';
import { messageReader, type Delivered } from './changes/message-reader.ts';
import type { Consumer } from './consumer.ts';
import { createLifetime } from './lifetime.ts';
import type { ConsumeOptions, HandlerContext, Tables } from './options.ts';
import type { Run } from './run.ts';
import { parkedChanges } from './parked.ts';
import { onePrefix, partsOf, readSettings, type Settings } from './settings.ts';
import { watchConsumer } from './watch.ts';
import { ensureTables } from './tables/migrate.ts';
import { consumerWording } from './wording.ts';

type AnyTables = Readonly<Record<string, Change>>;

/**
 * Joins the group and hands the changes of its topics to `handle`, batch by batch, each batch of one partition and in its order. Resolves when the
 * database and Kafka have answered and the consumer's tables are there; topics may come later. Ends when it is disposed or its signal is aborted, within
 * `endTimeoutMs` and a few seconds; `finished` says how.
 *
 * @throws CdcError CONSUMER_INVALID, CONSUMER_NOT_MIGRATED, CONSUMER_SCHEMA_TAKEN, CONSUMER_SCHEMA_NEWER, CONSUMER_DATABASE_REFUSED, KAFKA_UNREACHABLE (when
 *   kafka.whenUnavailable is `exit`)
 */
export async function consume<T extends Tables = AnyTables>(options: ConsumeOptions<T>): Promise<Consumer>;
export async function consume(options: ConsumeOptions<Readonly<Record<string, Delivered>>>): Promise<Consumer> {
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
  const finished = finish(run, stack);
  finished.catch(() => undefined);
  const context = { ...run, schema: settings.schema, timeoutMs: settings.handlerTimeoutMs, signal: lifetime.signal };
  return {
    finished,
    ...watchConsumer(run),
    parked: parkedChanges(context),
    async [Symbol.asyncDispose]() {
      await end();
      await finished.catch(() => undefined);
    },
  };
}

/** Until the consumer has ended; lets go of what it opened. @throws what it failed with */
async function finish(run: Run, stack: AsyncDisposableStack): Promise<void> {
  const { lifetime, logger } = run;
  const follower = follow(run);
  try {
    await keepMembership(run);
  } catch (error) {
    if (!lifetime.signal.aborted) {
      const { code, remedy } = error instanceof CdcError ? error : { code: undefined, remedy: undefined };
      logger.error({ code, remedy, err: error }, `the consumer has ended: ${describeError(error)}`);
      throw error;
    }
  } finally {
    run.state = 'ended';
    lifetime.abort(new CdcError('CONSUMER_ENDED', 'the consumer has ended'));
    await follower;
    await stack.disposeAsync();
  }
}

/** An unknown error begins the membership again after so long. */
const tryAgainMs = 2000;

async function keepMembership(run: Run): Promise<void> {
  const { settings, pool, kafka, admin, decoder, readMessage, logger, lifetime, troubles, handle } = run;
  const { signal } = lifetime;
  const { schema, group: groupId, concurrency } = settings;
  const topics = Object.values(settings.topics).map(({ topic }) => topic);
  let present: readonly string[] = [];
  while (!signal.aborted) {
    if (present.length === 0) {
      run.state = 'waiting for topics';
      present = await waitForNewTopics(admin, topics, [], logger, signal);
    }
    run.state = 'joining';
    const membership = {
      name: schema,
      groupId,
      topics,
      concurrency,
      kafka,
      admin,
      logger,
      onJoined: (joined: boolean): void => {
        run.state = joined ? 'consuming' : 'joining';
      },
      reader: (until: AbortSignal, onFailure: (error: unknown) => void): PartitionReader<unknown> => {
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
    present = await joinUntilMoreTopics(membership, present, signal).catch(async (error: unknown) => {
      if (signal.aborted || error instanceof CdcError) throw error;
      logger.error({ err: error }, `${describeError(error)}; the consumer joins again`);
      await pause(tryAgainMs, signal);
      return [];
    });
  }
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

async function openAdmin(kafka: Kafka, { kafkaConfig }: Settings, logger: Logger, signal: AbortSignal): Promise<KafkaAdmin> {
  if (kafkaConfig.whenUnavailable === 'exit') return kafka.admin();
  return retrying('connecting to Kafka', logger, signal, () => kafka.admin());
}
