import { eventDecoder } from '#change-events/index.ts';
import { addDisposableStacks } from '#pipeline/disposable-stacks.ts';
import { connectKafka } from '#kafka/index.ts';
import { CdcError, createLogger } from '#pipeline/index.ts';
import { watchTopicIds } from '#read-model/engine/index.ts';
import { createTroubles } from '../apply/troubles.ts';
import { messageReader, type Delivered } from '../changes/message-reader.ts';
import { createLifetime } from '../lifetime.ts';
import { openAdmin, untilEnded, type Membership } from '../membership.ts';
import { readSettings } from '../settings.ts';
import type { AtLeastOnce } from './context.ts';
import type { AtLeastOnceConsumer, AtLeastOnceOptions } from './options.ts';
import { createPlaces } from './places.ts';
import { atLeastOnceReader } from './reader.ts';
import { watchAtLeastOnce } from './watch.ts';

type AnyDelivered = Readonly<Record<string, Delivered>>;

/** What only a database can keep. */
const needDatabase = ['schema', 'migrate', 'tries', 'parkedMax', 'staleAfterMs', 'clockAheadMs'];

/** `consume` without a database. */
export async function consumeAtLeastOnce(options: AtLeastOnceOptions<AnyDelivered>): Promise<AtLeastOnceConsumer> {
  addDisposableStacks();
  requireNoDatabase(options);
  const settings = readSettings(options);
  const logger = (options.logger ?? createLogger('cdc-consumer')).child({ group: settings.group });
  const lifetime = createLifetime();
  const end = (): Promise<void> => lifetime.end(settings.endTimeoutMs);
  const onAbort = (): void => void end();
  options.signal?.throwIfAborted();
  await using opening = new AsyncDisposableStack();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  opening.defer(() => options.signal?.removeEventListener('abort', onAbort));
  const kafka = connectKafka(settings.kafkaConfig, logger);
  const admin = opening.use(await openAdmin(kafka, settings, logger, lifetime.signal));
  const decoder = eventDecoder(settings.registry);
  const names = new Map(Object.entries(settings.topics).map(([name, { topic }]) => [topic, name]));
  const named = <C extends Delivered>(change: C): C & { readonly name: string } => ({
    ...change,
    name: names.get(change.topic) ?? change.topic,
  });
  const places = createPlaces(logger);
  const troubles = createTroubles();
  const context: AtLeastOnce = {
    ...settings,
    groupId: settings.group,
    admin,
    decoder,
    readMessage: messageReader(decoder, Object.values(settings.topics)),
    slices: { bytes: settings.batch.bytes, messages: settings.batch.changes },
    handle: async (changes, call) => options.handle(changes.map(named), call),
    onPoison:
      options.onPoison === undefined
        ? null
        : async (poison, call) => options.onPoison?.({ ...poison, change: poison.change === null ? null : named(poison.change) }, call),
    places,
    troubles,
    lifetime,
    logger,
  };
  const run: Membership = { settings, kafka, admin, logger, lifetime, state: 'joining' };
  const reading = {
    name: settings.group,
    startAt: 'committed',
    reader: (signal: AbortSignal) => atLeastOnceReader(context, signal),
  } as const;
  const ids = watchTopicIds(
    admin,
    async () => places.topicIds(),
    (topic) => places.recheck(topic),
    lifetime.signal,
  ).catch(() => undefined);
  logger.info('no database: each change is handed over at least once');
  const finished = untilEnded(run, reading, ids, opening.move());
  finished.catch(() => undefined);
  return {
    finished,
    ...watchAtLeastOnce({ run, places, troubles }),
    async [Symbol.asyncDispose]() {
      await end();
      await finished.catch(() => undefined);
    },
  };
}

/** @throws CdcError CONSUMER_INVALID that names an option of a database */
function requireNoDatabase(options: object): void {
  const given = needDatabase.find((name) => Reflect.get(options, name) !== undefined);
  if (given !== undefined) throw new CdcError('CONSUMER_INVALID', `${given}: it needs a database`);
  if (Reflect.get(options, 'onError') === 'park')
    throw new CdcError('CONSUMER_INVALID', 'onError: park needs a database; without one a change is kept by onPoison');
}
