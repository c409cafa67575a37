/** What a schema says of itself, where it is one of a table's: as Debezium and the poller name theirs. */
export type TableSchemaName = { readonly name: string; readonly of: 'Envelope' | 'Value' | 'Key' };

/** The name of an Avro record, or of a JSON Schema, if it names a table; null for any other, of which nothing can be said. */
export function tableSchemaName(name: string | null): TableSchemaName | null {
  const { of } = /^.+\..+\.(?<of>Envelope|Value|Key)$/s.exec(name ?? '')?.groups ?? {};
  return name !== null && (of === 'Envelope' || of === 'Value' || of === 'Key') ? { name, of } : null;
}

/**
 * Whether a schema can be of a topic's keys or values. The ids of a registry mean something in it only: where it was made again, an id names
 * another table's schema, and some bytes fit by chance. Compared are the schema and the table, as both writers spell them for Avro; a
 * prefix may have been routed elsewhere.
 */
export function fitsTopic(schema: TableSchemaName | null, topic: string, part: 'key' | 'value'): boolean {
  if (schema === null) return true;
  if (part === 'key' ? schema.of === 'Envelope' : schema.of === 'Key') return false;
  return tableOf(schema.name.slice(0, -(schema.of.length + 1))) === tableOf(topic);
}

function tableOf(name: string): string {
  return name.split('.').slice(-2).map(plainly).join('.');
}

/** Writers differ in what they do with characters that Avro does not take, and with a digit at the beginning. */
function plainly(part: string): string {
  return part
    .replaceAll(/_u[0-9a-f]{4}/gi, '_')
    .replaceAll(/\W/g, '_')
    .replace(/^_+(?=\d)/, '');
}
