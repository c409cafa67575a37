import { parseTableId, topicName } from '#change-events/index.ts';
import type { PollerConfig, PollerTableConfig } from '#pipeline/index.ts';

/** The topic of a table's events. */
export function eventTopic({ topicPrefix }: PollerConfig, { table, topic }: PollerTableConfig): string {
  return topic ?? topicName(topicPrefix, parseTableId(table));
}

/** Where `onTooLarge: dead-letter` tells of rows that their topics do not take; one for all tables of a prefix. */
export function deadLetterTopic({ topicPrefix }: PollerConfig): string {
  return `${topicPrefix}.dead-letter`;
}
