import type { CatalogTable } from './table-shape.ts';

/**
 * The state of a relation that a poller must notice: which one it is, which file holds it, its columns and its key. One scalar, so that
 * it can be asked in the very statement, and so in the very snapshot, that reads the clockwork (SourceSession.observe) or a page.
 */

/** Columns of the relation with this oid, hashed; the oid is an SQL expression. Null when the relation is gone. */
export function columnsHashSql(oid: string): string {
  return `(SELECT hashtextextended(string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull), ',' ORDER BY a.attnum), 0)
    FROM pg_attribute a WHERE a.attrelid = ${oid} AND a.attnum > 0 AND NOT a.attisdropped)`;
}

/** The state's text, from a row of pg_class. */
export function relationStateSql(pgClass: string): string {
  return `concat_ws('/', ${pgClass}.oid, ${pgClass}.relfilenode, ${columnsHashSql(`${pgClass}.oid`)},
    coalesce((SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = ${pgClass}.oid AND i.indisprimary), 0))`;
}

export function parseRelationState(text: string): NonNullable<CatalogTable['relation']> {
  const [oid = '', file = '', columnsHash = '', keyIndex = ''] = text.split('/');
  return { oid, file, columnsHash, keyIndex };
}

export function formatRelationState({ oid, file, columnsHash, keyIndex }: NonNullable<CatalogTable['relation']>): string {
  return [oid, file, columnsHash, keyIndex].join('/');
}

/** How far a sequence is: every id that it gives later is higher. One that was never used, or was set back, says as much as it may. */
export function drawnSql(sequenceOid: string): string {
  return `(SELECT coalesce(pg_sequence_last_value(s.seqrelid), s.seqmin - 1) FROM pg_sequence s WHERE s.seqrelid = ${sequenceOid})`;
}
