import { escapeIdentifier } from 'pg';
import type { Change, CellText } from '../decode/change.ts';
import { arrayLiteral, plainArrayLiteral } from '../decode/values/array-literal.ts';
import { qualified, type Database } from '../database.ts';
import type { Mirror } from './mirror.ts';
import { historyTable } from './own-columns.ts';

/**
 * Adds events to the history of their mirror, each once: its place in Kafka is its key. A delete has the row as it was, as far as its event has it (with REPLICA
 * IDENTITY FULL all of it, else the key); a truncate has no row; a tombstone is no event of its own. To repeat it changes nothing.
 */
export async function writeHistory(database: Database, mirror: Mirror, partition: number, changes: readonly Change[]): Promise<void> {
  const rows = changes.flatMap((change) =>
    change.origin === undefined ? [] : [{ change, origin: change.origin, cells: cellsOf(mirror, change) }],
  );
  if (rows.length === 0) return;
  const { columns } = mirror;
  const names = columns.map(({ name }) => escapeIdentifier(name));
  const own: readonly (readonly [name: string, carrier: string])[] = [
    ['_op', 'text'],
    ['_at', 'int8'],
    ['_tx', 'text'],
    ['_lsn', 'int8'],
    ['_unchanged', 'text'],
    ['_offset', 'int8'],
  ];
  const carriers = [...columns.map(({ carrier }) => carrier), ...own.map(([, carrier]) => `pg_catalog.${carrier}`)];
  const epoch = "'1970-01-01 00:00:00+00'::pg_catalog.timestamptz";
  await database.query(
    `INSERT INTO ${qualified(mirror.schema, historyTable(mirror.table))} (${[...names, ...own.map(([name]) => name), '_partition'].join(', ')})
     SELECT ${[
       ...columns.map(({ cast }, index) => (cast === null ? `n.${names[index]}` : `n.${names[index]}::${cast}`)),
       `n._op, ${epoch} + n._at * interval '1 microsecond', n._tx, n._lsn, n._unchanged::pg_catalog.text[], n._offset, ${partition}`,
     ].join(', ')}
       FROM unnest(${carriers.map((carrier, index) => `$${index + 1}::${carrier}[]`).join(', ')}) AS n(${[...names, ...own.map(([name]) => name)].join(', ')})
     ON CONFLICT (_partition, _offset) DO NOTHING`,
    [
      ...columns.map(({ plain }, index) => {
        const cells = rows.map((row) => row.cells[index] ?? null);
        return plain ? plainArrayLiteral(cells) : arrayLiteral(cells);
      }),
      plainArrayLiteral(rows.map(({ origin }) => origin.op)),
      plainArrayLiteral(rows.map(({ origin }) => origin.at)),
      arrayLiteral(rows.map(({ origin }) => origin.transaction)),
      plainArrayLiteral(rows.map(({ change: { lsn } }) => (lsn === null || lsn === undefined ? null : String(lsn)))),
      arrayLiteral(rows.map(({ change }) => unchangedOf(mirror, change))),
      plainArrayLiteral(rows.map(({ change }) => String(change.offset))),
    ],
  );
}

function cellsOf(mirror: Mirror, change: Change): readonly CellText[] {
  if (change.kind === 'upsert') return change.cells;
  if (change.kind === 'truncate') return [];
  if (change.before !== undefined) return change.before;
  const cells: CellText[] = mirror.columns.map(() => null);
  for (const [at, index] of mirror.key.entries()) cells[index] = change.keyCells[at];
  return cells;
}

/** Names of the columns that the event left out because their large values had not changed; null for none. */
function unchangedOf(mirror: Mirror, change: Change): string | null {
  if (change.kind !== 'upsert' || !change.partial) return null;
  return arrayLiteral(mirror.columns.flatMap(({ name }, index) => (change.cells[index] === undefined ? [name] : [])));
}
