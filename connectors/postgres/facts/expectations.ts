import { formatTableId } from '#change-events/index.ts';
import { canonicalTableName } from '#pipeline/index.ts';
import type { ConnectorConfig } from '../../config-file.ts';
import { readTableList } from '../table-list.ts';

/** Debezium's own default applies where the connector names none. */
export function publicationOf(config: ConnectorConfig): string {
  return config['publication.name'] ?? 'dbz_publication';
}

/** Without an action query the heartbeat's row is nobody's, and its age says nothing. */
export function hasHeartbeat(config: ConnectorConfig): boolean {
  return (config['heartbeat.action.query'] ?? '').includes('cdc.heartbeat');
}

/**
 * Tables of table.include.list (heartbeat and signal table too) that the publication does not hold. The server passes over their changes
 * in silence; from Postgres 18 on even when the whole publication is gone. Patterns are not judged.
 */
export function unpublishedTables(config: ConnectorConfig, published: ReadonlySet<string>): readonly string[] {
  const listed = readTableList(config['table.include.list'] ?? '').flatMap((one) => ('problem' in one ? [] : [formatTableId(one.id)]));
  const signal = config['signal.data.collection'];
  return [...listed, ...(signal === undefined ? [] : [canonicalTableName(signal)])].filter((table) => !published.has(table));
}

/** What that means, in a sentence. */
export function unpublishedText(tables: readonly string[], publication: string | null): string {
  const one = tables.length === 1;
  if (publication === null) {
    return `${tables.join(', ')} cannot be seen by the connector's user (no SELECT, or no such table): nothing of ${one ? 'it' : 'them'} is captured`;
  }
  return (
    `${tables.join(', ')} not in publication ${publication}: ${one ? 'its' : 'their'} changes are not captured, ` +
    'and lost as long as that is so (cdc connectors prepare adds what is missing, cdc connectors snapshot reads it again)'
  );
}
