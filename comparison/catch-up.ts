import { setTimeout as delay } from 'node:timers/promises';
import { topicName } from '#change-events/index.ts';
import type { KafkaAdmin } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { TableShape } from './canonical/shape.ts';
import { appliedOffsets } from './applied-offsets.ts';
import type { Observer } from './observer/observer.ts';
import type { Session } from './source/session.ts';
import { entriesOf, type PerStrategy } from './strategy.ts';

/** How often a position that cannot be listened to is read again. */
const lookAgainMs = 100;
/** How often it is said what is waited for. */
const sayEveryMs = 10_000;

/** Per table (`schema.table`), the transaction id below which a poller has published everything, deletes included where it sweeps. */
export type ReadHorizons = () => Promise<ReadonlyMap<string, bigint>>;

/** Of the strategies whose progress the pollers' positions show; the heartbeat shows that of the log. */
export type Horizons = { readonly query: ReadHorizons; readonly sweep: ReadHorizons | null };

export type CatchUpOptions = {
  readonly observer: Observer;
  readonly admin: KafkaAdmin;
  readonly readDatabase: Session;
  readonly shapes: readonly TableShape[];
  readonly topicPrefixes: PerStrategy<string>;
  readonly models: PerStrategy<string>;
  readonly horizons: Horizons;
  /** Longest wait in which nobody gets on. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
};

/**
 * Waits until everything that committed before the sentinel is in Kafka under every strategy, seen by the observer and applied by every
 * model. Every step is a condition on positions.
 *
 * @throws CdcError COMPARISON_NOT_CAUGHT_UP saying who is behind and where; the signal's reason
 */
export async function waitCaughtUp(sentinelTxId: bigint, options: CatchUpOptions): Promise<void> {
  const { observer, admin, shapes, topicPrefixes, models, progress } = options;
  // What ends the observer ends the waiting.
  const failed = observer.closed.then(() => Promise.reject(new Error('the observer was closed')));
  failed.catch(() => undefined);
  /** `behind` says what is missing, or null when nothing is; `done` changes while whoever is waited for gets on, where what is missing does not say it. */
  const until = async (
    what: string,
    behind: () => Promise<string | null> | string | null,
    done: () => string = () => '',
  ): Promise<void> => {
    const started = performance.now();
    let [movedAt, saidAt] = [started, started];
    let known = '';
    for (;;) {
      options.signal.throwIfAborted();
      const reason = await Promise.race([Promise.resolve(behind()), failed]);
      if (reason === null) break;
      const now = performance.now();
      // Whatever gets on is waited for: a machine may take ten times as long as another.
      const state = `${reason} ${done()}`;
      if (state !== known) [known, movedAt] = [state, now];
      if (now - movedAt > options.timeoutMs)
        throw new CdcError('COMPARISON_NOT_CAUGHT_UP', `nothing has moved for ${options.timeoutMs / 1000} s: ${reason}`);
      if (now - saidAt >= sayEveryMs) {
        saidAt = now;
        progress(`  still waiting: ${reason}`);
      }
      await Promise.race([delay(lookAgainMs, undefined, { signal: options.signal }), failed]);
    }
    progress(`${what} (${Math.round(performance.now() - started)} ms)`);
  };

  await until(
    'log-based capture has published everything',
    () =>
      observer.sawSentinel(sentinelTxId)
        ? null
        : `the heartbeat of transaction ${sentinelTxId} has not come by the log (is the connector running, and is cdc.heartbeat in its publication?)`,
    () => String(observer.progress.seen(topicPrefixes.log)),
  );
  const published = async (who: string, read: ReadHorizons): Promise<string | null> => {
    const horizons = await read();
    const late = shapes.filter(({ id }) => (horizons.get(id) ?? -1n) <= sentinelTxId);
    return late.length === 0
      ? null
      : `${who} has not passed transaction ${sentinelTxId} in ${late.map(({ id }) => `${id} (${horizons.get(id) ?? 'no position'})`).join(', ')} (is it running?)`;
  };
  const { query, sweep } = options.horizons;
  await until('query-based capture has published everything', () => published('the poller', query));
  if (sweep !== null) await until('the key sweep has seen every delete', () => published('the poller with the key sweep', sweep));
  const topics = entriesOf(topicPrefixes).flatMap(([, prefix]) => shapes.map((shape) => topicName(prefix, shape)));
  const ends = await Promise.all(topics.map(async (topic) => ({ topic, offsets: await admin.offsetsOf(topic) })));
  await until(
    'the observer has seen everything',
    () => {
      const late = ends.filter(({ topic, offsets }) => !observer.progress.reached(topic, offsets));
      return late.length === 0 ? null : `the observer has not read ${late.map(({ topic }) => topic).join(', ')} to the end`;
    },
    () =>
      entriesOf(topicPrefixes)
        .map(([, prefix]) => observer.progress.seen(prefix ?? ''))
        .join(' '),
  );
  for (const [strategy, model] of entriesOf(models)) {
    await until(`read model ${model} has applied everything`, async () => {
      const applied = await appliedOffsets(options.readDatabase, model);
      for (const shape of shapes) {
        const topic = topicName(topicPrefixes[strategy] ?? '', shape);
        for (const [partition, end] of observer.progress.dataEnds(topic)) {
          const next = applied(topic, partition) ?? 0n;
          if (next < end) return `read model ${model} is at offset ${next} of ${end} in ${topic}, partition ${partition} (is it running?)`;
        }
      }
      return null;
    });
  }
}
