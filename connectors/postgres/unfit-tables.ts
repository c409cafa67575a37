import { formatTableId, heartbeatTable, sharingTopics, topicName, topicProblem, type TableId } from '#change-events/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { ConnectorFile } from '../config-file.ts';
import { nameProblem } from './facts/unfit-names.ts';
import { readTableList } from './table-list.ts';

/** A captured table, and why Debezium cannot publish it, or not under a topic of its own. */
export type UnfitTable = { readonly connector: string; readonly id: TableId; readonly detail: string };

/**
 * Captured tables that cannot be published as they are: names that Debezium cannot capture, and topics that are not theirs alone. Debezium writes every sign
 * that Kafka does not take in a topic as `_` and looks no further: rows of different tables would replace one another under one key, or, where only a dot and
 * `_` differ, Kafka refuses the second topic and the connector fails.
 * Patterns are not judged. Pure.
 */
export function unfitTables(files: readonly ConnectorFile[]): readonly UnfitTable[] {
  const captured = files.flatMap(({ name, config }) =>
    readTableList(config['table.include.list'] ?? '').flatMap((listed) =>
      'problem' in listed ? [] : [{ connector: name, id: listed.id, topic: topicName(config['topic.prefix'] ?? '', listed.id) }],
    ),
  );
  const single = captured.flatMap(({ connector, id, topic }) => {
    const problem = topicProblem(topic);
    const unfit = new Set([id.schema, id.table].map(nameProblem).filter((one) => one !== null));
    return [
      ...(problem === null ? [] : [{ connector, id, detail: `cannot have the topic ${topic}: ${problem}` }]),
      ...[...unfit].map((detail) => ({ connector, id, detail })),
    ];
  });
  const apart = new Map(captured.map((one) => [`${one.topic} ${formatTableId(one.id)}`, one]));
  const shared = sharingTopics([...apart.values()], ({ topic }) => topic).flatMap((group) =>
    group
      .filter(({ id }) => !isHeartbeat(id))
      .map((one) => {
        const others = group
          .filter((other) => other !== one)
          .map(({ id, topic }) => `${formatTableId(id)}${topic === one.topic ? '' : ` (${topic})`}`);
        return { connector: one.connector, id: one.id, detail: `would share topic ${one.topic} with ${others.join(', ')}` };
      }),
  );
  return [...single, ...shared];
}

/** @throws CdcError CONNECTOR_CONFIG_INVALID naming the tables of `chosen` that cannot be captured beside those of `all` */
export function requireFitTables(all: readonly ConnectorFile[], chosen: readonly ConnectorFile[]): void {
  const unfit = unfitTables(all).filter(({ connector }) => chosen.some(({ name }) => name === connector));
  if (unfit.length === 0) return;
  const lines = unfit.map(({ connector, id, detail }) => `connector ${connector}: table ${formatTableId(id)} ${detail}`);
  throw new CdcError('CONNECTOR_CONFIG_INVALID', lines.join('\n'), {
    remedy:
      'Leave them out of table.include.list, or all but one of those that would share a topic: poll what is left out, with a topic of its own in poller.tables.',
  });
}

function isHeartbeat({ schema, table }: TableId): boolean {
  return schema === heartbeatTable.schema && table === heartbeatTable.table;
}
