import type { ConnectorConfig } from '../config-file.ts';

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
  const named = `${config['table.include.list'] ?? ''},${config['signal.data.collection'] ?? ''}`.split(',');
  return named
    .map((entry) => entry.trim().replaceAll(String.raw`\.`, '.'))
    .filter((entry) => entry !== '' && !/[\\*+?^$()[\]{}|]/.test(entry) && !published.has(entry));
}

/** What that means, in a sentence. */
export function unpublishedText(tables: readonly string[], publication: string | null): string {
  const one = tables.length === 1;
  if (publication === null) {
    return `${tables.join(', ')} cannot be seen by the connector's user (no SELECT, or no such table): nothing of ${one ? 'it' : 'them'} is captured`;
  }
  return (
    `${tables.join(', ')} not in publication ${publication}: ${one ? 'its' : 'their'} changes are not captured, ` +
    'and lost as long as that is so (cdc connectors prepare adds what is missing, cdc connectors snapshot reads it anew)'
  );
}
