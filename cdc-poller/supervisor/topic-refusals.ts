import { heartbeatTopic, sharingTopics, topicProblem } from '#change-events/index.ts';
import { CdcError, type PollerConfig, type PollerTableConfig } from '#pipeline/index.ts';
import { positionTopic, type StoredTable } from '../position/position-topic.ts';
import { deadLetterTopic, eventTopic } from './topics.ts';

/** What wants a topic: a table, or the poller itself. */
type Claim = { readonly topic: string; readonly table: PollerTableConfig | null; readonly what: string };

/** What decides the names of topics. */
export type Naming = Pick<PollerConfig, 'name' | 'topicPrefix'>;

/** Groups of claims that cannot have their topics side by side. */
function clashes(poller: Naming, tables: readonly PollerTableConfig[]): readonly (readonly Claim[])[] {
  const own = [
    { topic: positionTopic(poller.name), what: "the poller's positions" },
    { topic: heartbeatTopic(poller.topicPrefix), what: "the poller's heartbeats" },
    { topic: deadLetterTopic(poller), what: "the poller's dead letters" },
  ].map((one) => ({ ...one, table: null }));
  const claims = tables.map((table) => ({ topic: eventTopic(poller, table), table, what: `table ${table.table}` }));
  return sharingTopics<Claim>([...own, ...claims], ({ topic }) => topic);
}

/** Whether {@link topicRefusals} would ask who holds a topic. */
export function hasClashes(poller: Naming, tables: readonly PollerTableConfig[]): boolean {
  return clashes(poller, tables).length > 0;
}

/**
 * The tables that must not be published, with why. Of tables that would share a topic, the one that `holders` names keeps it: the one that is polled,
 * or has been. Where that is none, or several, nobody gets it: rows of different tables under one key would replace one another. Pure.
 */
export function topicRefusals(
  poller: Naming,
  tables: readonly PollerTableConfig[],
  holders: ReadonlySet<string>,
): ReadonlyMap<string, CdcError> {
  const refusals = new Map<string, CdcError>();
  for (const table of tables) {
    const topic = eventTopic(poller, table);
    const problem = topicProblem(topic);
    if (problem !== null) refusals.set(table.table, refusal(table, `cannot have the topic ${topic}: ${problem}`));
  }
  for (const group of clashes(poller, tables)) {
    const holding = group.filter(({ table }) => table === null || holders.has(table.table));
    const [holder] = holding.length === 1 ? holding : [];
    for (const claim of group) {
      if (claim.table === null || claim === holder) continue;
      const others = group.filter((other) => other !== claim);
      refusals.set(
        claim.table.table,
        refusal(
          claim.table,
          `would share topic ${claim.topic} with ${others.map(({ what, topic }) => describe(what, topic, claim.topic)).join(', ')}`,
        ),
      );
    }
  }
  return refusals;
}

/** Tables that have been polled before: what `holders` is at a start. */
export function withPosition(stored: ReadonlyMap<string, StoredTable>): ReadonlySet<string> {
  return new Set([...stored].filter(([, { head }]) => head !== null).map(([table]) => table));
}

/** A topic that is there already, and that Kafka takes for the same as the table's. */
export function existingTopicRefusal(poller: Naming, table: PollerTableConfig, existing: readonly string[]): CdcError | null {
  const topic = eventTopic(poller, table);
  if (existing.includes(topic)) return null;
  const other = existing.find((one) => sharingTopics([topic, one], (name) => name).length > 0);
  if (other === undefined) return null;
  return refusal(table, `cannot have the topic ${topic} beside ${other}: Kafka takes a dot and _ for the same there`);
}

function describe(what: string, topic: string, than: string): string {
  return topic === than ? what : `${what} (${topic}: Kafka takes a dot and _ for the same there)`;
}

function refusal({ table }: PollerTableConfig, why: string): CdcError {
  const entry = `{ table: ${JSON.stringify(table)}, topic: … }`;
  return new CdcError('TOPIC_UNFIT', `table ${table} ${why}`, {
    remedy: `Give it a topic of its own in poller.tables, beside the pattern if there is one: ${entry}; then start the poller again.`,
  });
}
