import type { ComparisonReport } from '#comparison/index.ts';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import type { PipelineConfig } from '#pipeline/index.ts';
import type { ReadDatabase } from './read-database.ts';

/** Of rows that polling left out of its read model: where their events are, and how far the model is. Empty when none is missing. */
export async function whereMissing(
  { strategies }: ComparisonReport,
  { poller }: PipelineConfig,
  kafka: Kafka,
  read: ReadDatabase,
): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const [table, rows] of Object.entries(strategies.query.state.tables)) {
    if (!rows.measured || rows.value.missing.count === 0) continue;
    const topic = `${poller?.topicPrefix ?? ''}.${table}`;
    const wanted = new Set(rows.value.missing.keys.map((key) => `{"id":${key}}`));
    lines.push(`${table}: ${[...wanted].join(', ')}`);
    await readToEnd(kafka, topic, ({ key, offset }, partition) => {
      if (wanted.has(String(key))) lines.push(`  event of ${String(key)} at partition ${partition}, offset ${offset}`);
    });
    const places = await read.query('SELECT partition, next_offset FROM query_model.applied_offsets WHERE topic = $1 ORDER BY 1', [topic]);
    for (const place of places)
      lines.push(`  the model has applied partition ${String(place['partition'])} to ${String(place['next_offset'])}`);
    const parked = await read.query('SELECT count(*) AS events FROM query_model.parked_events WHERE topic = $1', [topic]);
    lines.push(`  parked: ${String(parked[0]?.['events'])}`);
  }
  return lines;
}
