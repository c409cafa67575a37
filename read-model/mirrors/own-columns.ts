/** The column that a mirror has beyond its source's: the log position of the row's last event. */
export const lsnColumn = '_lsn';

/** With `deletes: mark`: when the row was deleted; null while it exists. */
export const deletedColumn = '_deleted_at';

/**
 * What a row of a history has beyond the mirror's columns: Debezium's letter of what happened, when the source did it, its transaction and log position, the columns
 * that the event left out as unchanged (TOAST), and the message that it comes from.
 */
export const historyColumns: readonly string[] = ['_op', '_at', '_tx', '_lsn', '_unchanged', '_partition', '_offset'];

/** The comment of a column whose events have the bytes of its text: a rebuild's copy of the mirror has it too. */
export const bytesComment = 'cdc: its events have the bytes of its text';

/** The table that keeps every version of a mirror's rows. */
export function historyTable(mirror: string): string {
  return `${mirror}_history`;
}
