/**
 * Whether tables have topics that they can be published to. As of tables themselves (judge.ts) there is one judge: what `poller start` refuses by it,
 * `cdc doctor` finds with the same code and remedy. Looks only: makes no topic and takes no table over.
 */
import type { Kafka } from '#kafka/index.ts';
import type { CdcError, PollerConfig, PollerTableConfig } from '#pipeline/index.ts';
import type { Position } from './position/position.ts';
import { readStoredTables } from './position/position-topic.ts';
import { chunkMissing } from './position/table-journal.ts';
import { isAnotherTopic, topicReplaced } from './supervisor/topic-guard.ts';
import { existingTopicRefusal, topicRefusals, withPosition } from './supervisor/topic-refusals.ts';
import { eventTopic } from './supervisor/topics.ts';

/** By table: TOPIC_UNFIT, TOPIC_REPLACED, POSITION_INVALID or POSITION_INCOMPLETE. */
export type TopicRefusals = ReadonlyMap<string, CdcError>;

export type TopicJudgement = {
  readonly refusals: TopicRefusals;
  /** Of the other tables, the positions that a start would go on from, if the source is still the one that they were made with (judgePosition in judge.ts). */
  readonly positions: ReadonlyMap<string, Position>;
};

/** As at a first start: without a look at Kafka. Pure. */
export function foreseeTopics(poller: PollerConfig, tables: readonly PollerTableConfig[]): TopicRefusals {
  return topicRefusals(poller, tables, new Set());
}

/** @throws CdcError KAFKA_UNREACHABLE, KAFKA_AUTHENTICATION_FAILED; the signal's reason */
export async function judgeTopics(
  kafka: Kafka,
  poller: PollerConfig,
  tables: readonly PollerTableConfig[],
  signal: AbortSignal,
): Promise<TopicJudgement> {
  const stored = await readStoredTables(kafka, poller.name, signal);
  await using admin = await kafka.admin();
  const existing = await admin.listTopics();
  const ids = await admin.topicIds(tables.map((table) => eventTopic(poller, table)).filter((topic) => existing.includes(topic)));
  const refusals = new Map(topicRefusals(poller, tables, withPosition(stored)));
  const positions = new Map<string, Position>();
  for (const table of tables) {
    if (refusals.has(table.table)) continue;
    const topic = eventTopic(poller, table);
    const known = stored.get(table.table);
    const head = known?.head ?? null;
    const unusable = known === undefined ? null : (known.invalid ?? chunkMissing(table.table, known));
    const isReplaced = isTopicReplaced(head?.position.topicId ?? null, topic, ids);
    const replaced = isReplaced && table.onTopicReplaced === 'fail' ? topicReplaced(table.table, topic) : null;
    const refusal = existingTopicRefusal(poller, table, existing) ?? unusable ?? replaced;
    if (refusal !== null) refusals.set(table.table, refusal);
    else if (head !== null && !(isReplaced && table.onTopicReplaced === 'load')) positions.set(table.table, head.position);
  }
  return { refusals, positions };
}

/** The start makes one that is not there, and it is another one then. */
function isTopicReplaced(was: string | null, topic: string, ids: ReadonlyMap<string, string | null>): boolean {
  return (was !== null && !ids.has(topic)) || isAnotherTopic(was, ids.get(topic) ?? null);
}
