/** A table by its full name in the legacy database. */
export type TableId = { readonly schema: string; readonly table: string };

/**
 * The topic of a table, as Debezium names it: `<prefix>.<schema>.<table>`, with every character that Kafka does not take in a topic
 * name replaced by `_`. The prefix tells the strategies apart where both run.
 */
export function topicName(prefix: string, { schema, table }: TableId): string {
  return `${prefix}.${schema}.${table}`.replaceAll(/[^\w.-]/g, '_');
}

/**
 * Reads `schema.table` as it is written in configuration.
 *
 * @throws TypeError when it is not two names joined by one dot
 */
export function parseTableId(text: string): TableId {
  const [schema, table, ...rest] = text.split('.');
  if (!schema || !table || rest.length > 0) throw new TypeError(`expected schema.table, got "${text}"`);
  return { schema, table };
}

/** `schema.table`, the inverse of {@link parseTableId}. */
export function formatTableId({ schema, table }: TableId): string {
  return `${schema}.${table}`;
}
