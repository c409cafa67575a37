import { createHash } from 'node:crypto';
import { formatTableId, type TableId } from '#change-events/index.ts';
import type { FoundTable } from '../probe/tables.ts';
import type { TouchedColumn } from '../probe/touched-column.ts';
import { sqlName, sqlTable, sqlText } from '#connectors/postgres/sql-names.ts';
import type { PolledTable } from '../../polled-tables.ts';
import { columnMover } from './timestamp-trigger.ts';

export type TouchRemedy = { readonly remedy: string; readonly who: string };

/**
 * What to do about a timestamp that no UPDATE moves. A trigger on it only where that can change no statement of the application: on a column that
 * says when its row was last changed, that nothing else hangs on, and only in an UPDATE that leaves the column as it is. Else a way that touches
 * nothing: a new column would break whoever reads or writes the table without naming its columns. Pure.
 */
export function touchRemedy(id: TableId, table: FoundTable, polled: PolledTable, column: string, facts: TouchedColumn | null): TouchRemedy {
  if (facts !== null && isFreeToTouch(table, column, facts)) {
    return { remedy: triggerSql(id, column, facts, polled), who: 'owner of the table, with CREATE on its schema' };
  }
  const other = table.columns.find(
    ({ name, type, notNull }) => name !== column && notNull && type.startsWith('timestamp') && columnMover(table, name).kind === 'moved',
  );
  const choices = [
    ...(other === undefined ? [] : [`set timestampColumn: ${other.name} in poller.tables, which a trigger moves`]),
    ...(table.indexes.some(({ primary }) => primary)
      ? ['use mode: bulk with pollIntervalMs, which publishes the whole table each time']
      : []),
    'use the log-based strategy, which sees every change',
  ];
  const text = choices.join('; or ');
  return {
    remedy: `${text.slice(0, 1).toUpperCase()}${text.slice(1)}. A trigger on this column could change what the application means by it: none is proposed.`,
    who: 'who edits pipeline.yaml',
  };
}

/** updated_at, LastModified, changed: as people call the time of the last change. */
const changeWords = /^(?:up-?dated?|upd|modified|modification|modify|changed?|touched?|edited|mtime|lastmod)$/;
const clocks =
  /^\(?(?:(?:pg_catalog\.)?(?:now|clock_timestamp|statement_timestamp|transaction_timestamp)\(\)|current_timestamp(?:\(\d\))?|localtimestamp(?:\(\d\))?)\)?(?:::timestamp.*)?$/i;

function isFreeToTouch({ kind, triggers }: FoundTable, column: string, facts: TouchedColumn): boolean {
  const words = column
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_')
    .toLowerCase()
    .split(/[\W_]+/);
  const mentioned = triggers.some(({ source, columns }) => columns.includes(column) || source.toLowerCase().includes(column.toLowerCase()));
  return (
    (kind === 'r' || kind === 'p') &&
    !facts.generated &&
    !facts.constrained &&
    !facts.partitionKey &&
    !mentioned &&
    facts.type.startsWith('timestamp') &&
    clocks.test(facts.default ?? '') &&
    words.some((word) => changeWords.test(word))
  );
}

/** Names of 63 bytes at most, that no other column's trigger has. */
function triggerName(id: TableId, column: string): string {
  return `cdc_touch_${createHash('sha256')
    .update(`${formatTableId(id)}\n${column}`)
    .digest('hex')
    .slice(0, 12)}`;
}

function triggerSql(id: TableId, column: string, { type }: TouchedColumn, { timeZone }: PolledTable): string {
  const name = triggerName(id, column);
  const own = `${sqlName(id.schema)}.${name}`;
  const local = type.includes('without time zone') && timeZone !== undefined;
  const now = local ? `pg_catalog.timezone(${sqlText(timeZone)}, pg_catalog.now())` : 'pg_catalog.now()';
  const field = sqlName(column);
  const tag = column.includes('$cdc$') ? '$cdc_touch$' : '$cdc$';
  return [
    'BEGIN;',
    "SET LOCAL lock_timeout = '3s';",
    `CREATE FUNCTION ${own}() RETURNS trigger LANGUAGE plpgsql AS ${tag} BEGIN IF NEW.${field} IS NOT DISTINCT FROM OLD.${field} THEN NEW.${field} := ${now}; END IF; RETURN NEW; END ${tag};`,
    `CREATE TRIGGER ${name} BEFORE UPDATE ON ${sqlTable(id)} FOR EACH ROW EXECUTE FUNCTION ${own}();`,
    'COMMIT;',
  ].join('\n');
}
