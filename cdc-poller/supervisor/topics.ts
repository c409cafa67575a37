import { parseTableId, topicName } from '#change-events/index.ts';
import type { PollerConfig, PollerTableConfig } from '#pipeline/index.ts';

/** The topic of a table's events. */
export function eventTopic({ topicPrefix }: Pick<PollerConfig, 'topicPrefix'>, { table, topic }: PollerTableConfig): string {
  return topic ?? topicName(topicPrefix, parseTableId(table));
}

/** Where `onTooLarge: dead-letter` reports rows that are too large for their topics; one for all tables of a prefix. */
export function deadLetterTopic({ topicPrefix }: Pick<PollerConfig, 'topicPrefix'>): string {
  return `${topicPrefix}.dead-letter`;
}
