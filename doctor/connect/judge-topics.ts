import { formatTableId, type TableId } from '#change-events/index.ts';
import type { ConnectorFile } from '#connectors/config-file.ts';
import { unfitTables } from '#connectors/postgres/unfit-tables.ts';
import { finding, type Finding } from '../finding.ts';

/** Tables in connector files whose topics are not theirs alone, or none that Kafka takes, and those that Debezium cannot name. Pure. */
export function judgeCapturedTopics(files: readonly ConnectorFile[]): readonly Finding[] {
  const advice = 'leave it out of table.include.list, and poll it, with topic set in poller.tables.';
  return unfitTables(files).map(({ id, detail }) => finding('TOPIC_UNFIT', 'log', subjectOf(id), { detail, advice }));
}

function subjectOf(id: TableId): Finding['subject'] {
  const table = formatTableId(id);
  return { kind: 'table', name: table, table };
}
