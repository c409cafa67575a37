import { formatTableId, topicName, type TableId } from '#change-events/index.ts';
import type { KafkaAdmin } from '#kafka/index.ts';
import type { Logger } from '#pipeline/index.ts';
import type { Mirrors } from '../mirrors/mirrors.ts';

/** A partition of which Kafka has deleted the beginning: by retention, or because somebody deleted records. Compaction moves no beginning. */
export type CutPartition = { readonly topic: string; readonly partition: number; readonly low: bigint };

/** The partitions of tables' topics that do not reach back to their beginning, one a topic; a topic that does not exist has lost nothing. */
export async function cutBeginnings(
  admin: KafkaAdmin,
  topicPrefix: string,
  sources: readonly TableId[],
): Promise<readonly (CutPartition & { readonly source: TableId })[]> {
  const existing = new Set(await admin.listTopics());
  const found = await Promise.all(
    sources.map(async (source) => {
      const topic = topicName(topicPrefix, source);
      const cut = existing.has(topic) ? (await admin.offsetsOf(topic)).find(({ low }) => low > 0n) : undefined;
      return cut === undefined ? [] : [{ source, topic, partition: cut.partition, low: cut.low }];
    }),
  );
  return found.flat();
}

export function cutText({ topic, partition, low }: CutPartition): string {
  return `topic ${topic}, partition ${partition} begins at offset ${low}: what was before it is deleted`;
}

/** What a mirror misses that is filled from there, and how it gets it. */
function missedText(cut: CutPartition, table: string): string {
  return `${table} may miss rows, since ${cutText(cut)}. Unless what is left has a whole snapshot, publish the table again once it is mirrored: cdc connectors snapshot ${table} (log-based), or cdc poller reset --table ${table} (query-based)`;
}

/** {@link missedText} of the tables that are to be mirrored. */
export async function missedBy(admin: KafkaAdmin, topicPrefix: string, sources: readonly TableId[]): Promise<readonly string[]> {
  return (await cutBeginnings(admin, topicPrefix, sources)).map((cut) => missedText(cut, shellWord(formatTableId(cut.source))));
}

/** Tells of partitions that a model has begun past what Kafka has deleted, once a table. */
export function warnOfCut(logger: Logger, mirrors: Mirrors, cut: readonly CutPartition[]): void {
  for (const one of new Map(cut.map((partition) => [partition.topic, partition])).values()) {
    if (mirrors.topics.includes(one.topic))
      logger.warn({ ...one, low: String(one.low) }, missedText(one, shellWord(formatTableId(mirrors.of(one.topic).source))));
  }
}

/** As a shell takes it for one word. */
function shellWord(name: string): string {
  return /^[\w.]+$/.test(name) ? name : `'${name.replaceAll("'", String.raw`'\''`)}'`;
}
