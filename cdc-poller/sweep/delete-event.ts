import { queryConnector, type TableId } from '#change-events/index.ts';
import type { OutgoingMessage } from '#kafka/index.ts';

export type DeleteEventShape = {
  readonly database: string;
  readonly table: TableId;
  /** The topic prefix: Debezium's `source.name`. */
  readonly prefix: string;
};

/**
 * A delete event and its tombstone for an event key whose row a sweep found missing. The transaction that deleted the row is not known,
 * nor the row as it was: `txId` and `before` are null, and `source.ts_ms` is when the sweep saw that it was gone.
 */
export function deleteMessages({ database, table, prefix }: DeleteEventShape, key: string, seenAt: number): readonly OutgoingMessage[] {
  const source = JSON.stringify({
    version: '1',
    connector: queryConnector,
    name: prefix,
    ts_ms: seenAt,
    snapshot: 'false',
    db: database,
    schema: table.schema,
    table: table.table,
    txId: null,
    lsn: null,
  });
  const value = `{"before":null,"after":null,"source":${source},"transaction":null,"op":"d","ts_ms":${seenAt}}`;
  return [
    { key, value },
    { key, value: null },
  ];
}

/** The key's own value in an event key of one column: `{"id":7}` → `7`, `{"id":"a0ee…"}` → `a0ee…`. */
export function valueOfKey(eventKey: string): string {
  const value = eventKey.slice(eventKey.lastIndexOf(':') + 1, -1);
  return value.startsWith('"') ? value.slice(1, -1) : value;
}
