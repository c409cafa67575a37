import type { Kafka } from '#kafka/index.ts';
import { CdcError, type PollerTableConfig } from '#pipeline/index.ts';
import type { Position } from '../position/position.ts';

/** How often the topics of a process are looked at while its tables are polled, in ms. */
const lookMs = 10_000;

/**
 * Knows the topics that a process writes to by Kafka's own ids. A topic that is deleted and made again has its name, takes what is written, and lacks all
 * that was written before: no other answer of the broker shows it.
 */
export type TopicGuard = {
  /**
   * Looks at the positions topic and a table's topic, and from then on at both now and then.
   *
   * @returns Kafka's id of the table's topic; null where it has none, or does not exist
   * @throws CdcError POSITIONS_LOST, KAFKA_UNREACHABLE
   */
  look(topic: string): Promise<string | null>;
  /** The id that a topic had when this process first saw it. */
  firstSeen(topic: string): string | null;
  /** Whether a topic is, as far as the last look says, still the one of this id. Looks again when that was long ago, without a wait. @throws CdcError POSITIONS_LOST */
  isStill(topic: string, id: string | null): boolean;
};

export function createTopicGuard(kafka: Kafka, positionsTopic: string): TopicGuard {
  const first = new Map<string, string>();
  let seen: ReadonlyMap<string, string | null> = new Map();
  let lookedAt = -Infinity;
  const topics = new Set([positionsTopic]);
  let running: Promise<void> = Promise.resolve();
  let next: Promise<void> | null = null;

  const ask = async (): Promise<void> => {
    next = null;
    lookedAt = performance.now();
    await using admin = await kafka.admin();
    seen = await admin.topicIds([...topics]);
    for (const [topic, id] of seen) if (id !== null && !first.has(topic)) first.set(topic, id);
  };
  /** One question for all who ask while the one before it is under way. */
  const askAll = (): Promise<void> => {
    next ??= running.then(ask);
    running = next.catch(() => undefined);
    return next;
  };
  const requirePositions = (): void => {
    const id = first.get(positionsTopic);
    if (id === undefined || seen.get(positionsTopic) === id) return;
    const how = seen.has(positionsTopic) ? 'was deleted and made again' : 'was deleted';
    throw new CdcError('POSITIONS_LOST', `topic ${positionsTopic}, which holds the positions of this poller, ${how} while it ran`);
  };
  return {
    async look(topic) {
      topics.add(topic);
      await askAll();
      requirePositions();
      return seen.get(topic) ?? null;
    },
    firstSeen: (topic) => first.get(topic) ?? null,
    isStill(topic, id) {
      if (performance.now() - lookedAt > lookMs) askAll().catch(() => undefined);
      requirePositions();
      return id === null || !topics.has(topic) || seen.get(topic) === id || seen.get(topic) === null;
    },
  };
}

/** What a position means when its table's topic is not the one that it was made with. */
export function topicReplaced(table: string, topic: string): CdcError {
  return new CdcError(
    'TOPIC_REPLACED',
    `topic ${topic} of table ${table} was deleted, and is not the one that the table's position belongs to: what was published before is not in it`,
    {
      remedy: `Run cdc poller reset --table ${table}, which loads the table again; or set onTopicReplaced of the table to load, or to ignore where nobody needs the rows of before.`,
    },
  );
}

/**
 * The position to go on from in the topic as it is now; null to load the table.
 *
 * @param topic.id Kafka's id of the topic; null where it has none
 * @param topic.firstSeen the id that it had when the process first saw it, for positions that carry none
 * @throws CdcError TOPIC_REPLACED
 */
export function positionInTopic(
  position: Position | null,
  {
    table,
    topic,
    id,
    firstSeen,
  }: { readonly table: PollerTableConfig; readonly topic: string; readonly id: string | null; readonly firstSeen: string | null },
): Position | null {
  if (position === null) return null;
  if (isAnotherTopic(position.topicId ?? firstSeen, id)) {
    if (table.onTopicReplaced === 'fail') throw topicReplaced(table.table, topic);
    if (table.onTopicReplaced === 'load') return null;
  }
  return { ...position, topicId: id ?? position.topicId };
}

/** By Kafka's ids of then and now; null where there was none to compare. */
export function isAnotherTopic(was: string | null, is: string | null): boolean {
  return was !== null && is !== null && was !== is;
}
