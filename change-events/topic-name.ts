import { formatTableName, parseTableName } from '#pipeline/index.ts';

/** A table by its full name in the legacy database. */
export type TableId = { readonly schema: string; readonly table: string };

/**
 * The topic of a table, as Debezium names it: `<prefix>.<schema>.<table>`, with every character that Kafka does not take in a topic
 * name replaced by `_`. The prefix separates the strategies where both run.
 */
export function topicName(prefix: string, { schema, table }: TableId): string {
  return `${prefix}.${schema}.${table}`.replaceAll(/[^\w.-]/g, '_');
}

/** Why Kafka takes no topic of that name; null where it does. */
export function topicProblem(topic: string): string | null {
  if (topic === '.' || topic === '..') return `Kafka takes no topic named ${topic}`;
  return topic.length > 249 ? `the name has ${topic.length} characters, and Kafka takes 249` : null;
}

/**
 * Of things that have topics, those that cannot have them side by side: the topics are the same, or Kafka, whose metrics write a dot as `_`, refuses the
 * one beside the other.
 */
export function sharingTopics<Thing>(things: readonly Thing[], topicOf: (thing: Thing) => string): readonly (readonly Thing[])[] {
  const groups = Map.groupBy(things, (thing) => topicOf(thing).replaceAll('.', '_'));
  return [...groups.values()].filter((group) => group.length > 1);
}

/**
 * Reads `schema.table` as it is written in configuration.
 *
 * @throws TypeError when it is not two names joined by one dot
 */
export function parseTableId(text: string): TableId {
  const name = parseTableName(text);
  if (name === null) throw new TypeError(`expected schema.table, got "${text}"`);
  return name;
}

/** `schema.table`, the inverse of {@link parseTableId}. */
export function formatTableId(id: TableId): string {
  return formatTableName(id);
}
