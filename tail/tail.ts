import type { EventDecoder, MessagePlace } from '#change-events/index.ts';
import { followTopic, type ConsumedMessage, type FetchedRun, type Kafka, type TopicFollower } from '#kafka/index.ts';
import { CdcError, pause } from '#pipeline/index.ts';
import { readEvent, unreadable, type TailEvent } from './read-event.ts';
import { TimeOrder } from './time-order.ts';
import type { Strategy, StrategyTopic } from './topics.ts';

export type TailOptions = {
  readonly kafka: Kafka;
  readonly decoder: EventDecoder;
  readonly topics: readonly StrategyTopic[];
  readonly from: 'beginning' | 'end';
  readonly signal: AbortSignal;
  /** Called with a topic that is waited for. */
  readonly progress: (text: string) => void;
};

/** How often a topic that does not exist yet is looked for. */
const lookForTopicMs = 2000;
/** A partition that says so often that it has nothing, though its end is not reached, has an open transaction: others do not wait for it. */
const patience = 5;

type Held = { readonly timestamp: number } & (
  | { readonly strategy: Strategy; readonly place: MessagePlace; readonly message: ConsumedMessage }
  | { readonly strategy: Strategy; readonly place: MessagePlace; readonly error: CdcError }
);

/**
 * The events of these topics until `signal` is aborted, in the order of their time as far as they have come. A topic that is missing is waited
 * for while another one is there.
 *
 * @throws CdcError TOPIC_MISSING when none of them exists, KAFKA_UNREACHABLE, REGISTRY_UNREACHABLE; the signal's reason
 */
export async function* tail(options: TailOptions): AsyncGenerator<TailEvent> {
  const { topics, kafka, signal, from, decoder } = options;
  await using followers = new Followers(kafka, signal);
  const missing = new Set(topics);
  await followers.open(missing, from);
  if (missing.size === topics.length) throw noTopic(topics);
  for (const { topic, remedy } of missing) options.progress(`waiting for topic ${topic}, which does not exist yet. ${remedy}`);
  let lookedAt = performance.now();
  const order = new TimeOrder<Held>();
  const deletes = new Map<string, string>();
  while (!signal.aborted) {
    if (missing.size > 0 && performance.now() - lookedAt > lookForTopicMs) {
      lookedAt = performance.now();
      // It did not exist when we began: all of it is new.
      await followers.open(missing, 'beginning');
    }
    await followers.fetchInto(order);
    const held = [...order.take()];
    await decoder.prepare(
      held.flatMap((one) => ('message' in one ? [one.message] : [])),
      signal,
    );
    for (const one of held) {
      const event =
        'error' in one ? unreadable(one.strategy, one.place, one.error) : readEvent(one.strategy, one.place, one.message, decoder);
      if (!isEcho(event, one.place, deletes)) yield event;
    }
  }
}

/** The tombstone that follows a delete says nothing that the delete has not said. */
function isEcho(event: TailEvent, { topic, partition }: MessagePlace, deletes: Map<string, string>): boolean {
  const place = `${topic}/${partition}`;
  const last = deletes.get(place);
  if (event.kind === 'change' && event.op === 'd') deletes.set(place, event.key);
  else deletes.delete(place);
  return event.kind === 'tombstone' && event.key === last;
}

class Followers implements AsyncDisposable {
  readonly #kafka: Kafka;
  readonly #signal: AbortSignal;
  readonly #open = new AsyncDisposableStack();
  readonly #followers: { readonly source: StrategyTopic; readonly follower: TopicFollower }[] = [];
  readonly #fruitless = new Map<string, number>();

  constructor(kafka: Kafka, signal: AbortSignal) {
    this.#kafka = kafka;
    this.#signal = signal;
  }

  /** Takes those that exist out of `missing` and follows them. */
  async open(missing: Set<StrategyTopic>, from: 'beginning' | 'end'): Promise<void> {
    for (const source of missing) {
      try {
        const follower = this.#open.use(await followTopic(this.#kafka, { topic: source.topic, from, signal: this.#signal }));
        this.#followers.push({ source, follower });
        missing.delete(source);
      } catch (error) {
        if (!(error instanceof CdcError) || error.code !== 'TOPIC_MISSING') throw error;
      }
    }
  }

  /** Asks for what is next in partitions of which nothing is held any more: so that what is held stays small. */
  async fetchInto(order: TimeOrder<Held>): Promise<void> {
    const asked = await Promise.all(
      this.#followers.map(async ({ source, follower }) => {
        const wanted = follower.partitions().filter((partition) => order.isEmpty(`${source.topic}/${partition}`));
        const runs = await follower.next(wanted);
        for (const partition of wanted) {
          const run = runs.find((one) => one.partition === partition);
          this.#add(order, source, partition, run, follower.isBehind(partition));
        }
        return wanted.length;
      }),
    );
    // Everything is held by a partition that is asked at once: this only keeps a fault from becoming a busy loop.
    if (asked.every((count) => count === 0)) await pause(100, this.#signal);
  }

  #add(
    order: TimeOrder<Held>,
    { strategy, topic }: StrategyTopic,
    partition: number,
    run: FetchedRun | undefined,
    isBehind: boolean,
  ): void {
    const name = `${topic}/${partition}`;
    const held = run === undefined ? [] : heldOf(strategy, topic, run);
    const fruitless = held.length > 0 ? 0 : (this.#fruitless.get(name) ?? 0) + 1;
    this.#fruitless.set(name, fruitless);
    order.add(name, held, isBehind);
    if (fruitless > patience) order.letGo(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync();
  }
}

function heldOf(strategy: Strategy, topic: string, { partition, messages, unreadable: batch }: FetchedRun): readonly Held[] {
  const held = messages.map((message): Held => ({
    strategy,
    place: { topic, partition, offset: message.offset.toString() },
    timestamp: message.timestamp,
    message,
  }));
  if (batch === null) return held;
  const place = { topic, partition, offset: batch.offset.toString() };
  return [...held, { strategy, place, timestamp: held.at(-1)?.timestamp ?? 0, error: batch.error }];
}

function noTopic(topics: readonly StrategyTopic[]): CdcError {
  const names = topics.map(({ topic }) => topic).join(' and ');
  const what = topics.length === 1 ? `topic ${names} does not exist` : `topics ${names} do not exist`;
  return new CdcError('TOPIC_MISSING', what, { remedy: topics.map(({ strategy, remedy }) => `${strategy}: ${remedy}`).join('\n') });
}
