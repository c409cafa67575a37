import { escapeIdentifier } from 'pg';
import type { CellText } from '../decode/change.ts';
import type { TableChanges, Truncated, Upsert } from '../apply/collapse.ts';
import { copyIn } from './copy-in.ts';
import type { CopyTrials } from './copy-trials.ts';
import { qualified, type Database } from '../database.ts';
import { deletedColumn, lsnColumn } from './own-columns.ts';
import type { Mirror, MirrorColumn } from './mirror.ts';
import { isRetryable } from '../retry.ts';
import { arrayLiteral, plainArrayLiteral } from '../decode/values/array-literal.ts';
import { copyText } from '../decode/values/copy-text.ts';

/** A row that goes. `at`: see RowState.deletedAt. */
type Deletion = { readonly key: readonly string[]; readonly at: string | null };

/** An update left a column out because its value had not changed, and the row that has the value is not stored. */
class MissingRowError extends Error {
  override readonly name = 'MissingRowError';
}

/**
 * Brings a mirror to the state that `changes` describe: one statement to truncate, one to delete, one to upsert, and one per set of
 * columns that partial rows leave alone. To repeat it changes nothing. Rows that are called new are tried by COPY where that is worth it.
 *
 * @throws MissingRowError when a partial row has no stored row to complete it
 */
export async function writeMirror(database: Database, mirror: Mirror, changes: TableChanges, trials?: CopyTrials): Promise<void> {
  const marks = mirror.deletes === 'mark';
  // Where rows stay, those that a truncate of this batch meets are stored and marked first, each with its own time.
  if (changes.truncate !== null && !marks) await truncate(database, mirror, changes.truncate);
  const deletes: Deletion[] = [];
  const whole: Upsert[] = [];
  const partial: Upsert[] = [];
  const fresh: Upsert[] = [];
  for (const { deletes: key, deletedAt, upsert } of changes.rows.values()) {
    if (key !== null) deletes.push({ key, at: deletedAt ?? null });
    if (upsert !== null) (upsert.partial ? partial : upsert.isNew ? fresh : whole).push(upsert);
  }
  const copies = trials?.isWorth(mirror.table, fresh.length) ?? false;
  if (!copies) for (const row of fresh) whole.push(row);
  if (marks) await writeGone(database, mirror, changes);
  if (deletes.length > 0) await (marks ? markRows(database, mirror, deletes) : deleteRows(database, mirror, deletes));
  if (changes.truncate !== null && marks) await truncate(database, mirror, changes.truncate);
  if (whole.length > 0) await upsertRows(database, mirror, whole);
  if (partial.length > 0) await updateRows(database, mirror, partial);
  if (!copies) return;
  const copied = await copyRows(database, mirror, fresh);
  trials?.ended(mirror.table, copied);
  if (!copied) await upsertRows(database, mirror, fresh);
}

/**
 * Copies rows into the mirror; false when nothing was copied, because a row is there already or does not fit. The upsert then says which
 * of the two it is, in the words that every upsert uses.
 */
async function copyRows(database: Database, mirror: Mirror, rows: readonly Upsert[]): Promise<boolean> {
  const names = [...mirror.columns.map(({ name }) => escapeIdentifier(name)), lsnColumn];
  const plain = mirror.columns.map((column) => column.plain);
  const copy = `COPY ${qualified(mirror.schema, mirror.table)} (${names.join(', ')}) FROM STDIN`;
  try {
    await copyIn(database, `SAVEPOINT copying; ${copy}; RELEASE SAVEPOINT copying`, copyText(rows, plain));
    return true;
  } catch (error) {
    if (isRetryable(error)) throw error;
    await database.query('ROLLBACK TO SAVEPOINT copying; RELEASE SAVEPOINT copying');
    return false;
  }
}

async function truncate(database: Database, mirror: Mirror, { before, at }: Truncated): Promise<void> {
  const table = qualified(mirror.schema, mirror.table);
  const older = `${lsnColumn} IS NULL OR $1::bigint IS NULL OR ${lsnColumn} < $1::bigint`;
  if (mirror.deletes === 'mark')
    await database.query(
      `UPDATE ${table} SET ${deletedColumn} = coalesce(${timeOf('$2::bigint')}, clock_timestamp()) WHERE ${deletedColumn} IS NULL AND (${older})`,
      [before, at],
    );
  else await database.query(`DELETE FROM ${table} WHERE ${older}`, [before]);
  await database.query(
    `UPDATE ${qualified(mirror.schema, 'mirrored_tables')} SET truncated_lsn = $2::bigint, truncated_at = ${timeOf('$3::bigint')}
      WHERE mirror_table = $1 AND (truncated_lsn IS NULL OR truncated_lsn < $2::bigint)`,
    [mirror.table, before, at],
  );
}

/** Of microseconds since 1970, as SQL. */
function timeOf(micros: string): string {
  return `'1970-01-01 00:00:00+00'::pg_catalog.timestamptz + ${micros} * interval '1 microsecond'`;
}

async function deleteRows(database: Database, mirror: Mirror, rows: readonly Deletion[]): Promise<void> {
  const columns = pick(mirror, mirror.key);
  const from = unnest(columns, false);
  await database.query(
    `DELETE FROM ${qualified(mirror.schema, mirror.table)} t USING ${from} WHERE ${sameKey(mirror, 't')}`,
    columns.map((column, index) =>
      columnParameter(
        column,
        rows.map(({ key }) => key[index]),
      ),
    ),
  );
}

/** Rows that a batch both made and deleted, as they would be had each event been applied by itself. */
async function writeGone(database: Database, mirror: Mirror, { rows }: TableChanges): Promise<void> {
  const gone = [...rows.values()].flatMap((state) => state.gone ?? []);
  const [partial, whole] = [gone.filter((row) => row.partial), gone.filter((row) => !row.partial)];
  if (whole.length > 0) await upsertRows(database, mirror, whole);
  if (partial.length > 0) await updateRows(database, mirror, partial, 'where they are');
}

/** A row that is marked already keeps its time, unless this one was before: a truncate may be applied before what another partition says of earlier. */
async function markRows(database: Database, mirror: Mirror, rows: readonly Deletion[]): Promise<void> {
  const columns = pick(mirror, mirror.key);
  const carriers = [...columns.map(({ carrier }) => carrier), 'pg_catalog.int8'];
  const names = [...columns.map(({ name }) => escapeIdentifier(name)), deletedColumn];
  await database.query(
    `UPDATE ${qualified(mirror.schema, mirror.table)} t
        SET ${deletedColumn} = coalesce(${timeOf(`n.${deletedColumn}`)}, clock_timestamp())
       FROM unnest(${carriers.map((carrier, index) => `$${index + 1}::${carrier}[]`).join(', ')}) AS n(${names.join(', ')})
      WHERE ${sameKey(mirror, 't')} AND (t.${deletedColumn} IS NULL OR t.${deletedColumn} > ${timeOf(`n.${deletedColumn}`)})`,
    [
      ...columns.map((column, index) =>
        columnParameter(
          column,
          rows.map(({ key }) => key[index]),
        ),
      ),
      plainArrayLiteral(rows.map(({ at }) => at)),
    ],
  );
}

async function upsertRows(database: Database, mirror: Mirror, rows: readonly Upsert[]): Promise<void> {
  const { columns } = mirror;
  const names = [...columns.map(({ name }) => escapeIdentifier(name)), lsnColumn];
  const key = pick(mirror, mirror.key).map(({ name }) => escapeIdentifier(name));
  const updates = names.filter((name) => !key.includes(name)).map((name) => `${name} = EXCLUDED.${name}`);
  await database.query(
    `INSERT INTO ${qualified(mirror.schema, mirror.table)} (${names.join(', ')})
     SELECT ${columns.map(castCell).join(', ')}, n.${lsnColumn} FROM ${unnest(columns, true)}
     ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${[...updates, ...(mirror.deletes === 'mark' ? [`${deletedColumn} = NULL`] : [])].join(', ')}`,
    parameters(
      columns,
      columns.map((_, index) => index),
      rows,
    ),
  );
}

/** Partial rows, one statement per set of columns that they give. */
async function updateRows(
  database: Database,
  mirror: Mirror,
  rows: readonly Upsert[],
  which: 'all' | 'where they are' = 'all',
): Promise<void> {
  const groups = Map.groupBy(rows, ({ cells }) => cells.map((cell) => (cell === undefined ? '0' : '1')).join(''));
  for (const [given, members] of groups) {
    const indexes = mirror.columns.flatMap((_, index) => (given[index] === '1' ? [index] : []));
    const columns = pick(mirror, indexes);
    const sets = columns.map((column) => `${escapeIdentifier(column.name)} = ${castCell(column)}`);
    const result = await database.query(
      `UPDATE ${qualified(mirror.schema, mirror.table)} t SET ${sets.join(', ')}, ${lsnColumn} = n.${lsnColumn}
         FROM ${unnest(columns, true)} WHERE ${sameKey(mirror, 't')}${which === 'all' && mirror.deletes === 'mark' ? ` AND t.${deletedColumn} IS NULL` : ''}`,
      parameters(columns, indexes, members),
    );
    if (which === 'all' && result.rowCount !== members.length) {
      const missing = mirror.columns.filter((_, index) => given[index] === '0').map(({ name }) => name);
      throw new MissingRowError(`it leaves out ${missing.join(', ')} as unchanged, but mirror ${mirror.table} has no such row`);
    }
  }
}

function pick(mirror: Mirror, indexes: readonly number[]): MirrorColumn[] {
  return indexes.flatMap((index) => mirror.columns[index] ?? []);
}

/** `unnest($1::a[], $2::b[] …) AS n("x", "y" …)` */
function unnest(columns: readonly MirrorColumn[], withLsn: boolean): string {
  const carriers = [...columns.map(({ carrier }) => carrier), ...(withLsn ? ['pg_catalog.int8'] : [])];
  const names = [...columns.map(({ name }) => escapeIdentifier(name)), ...(withLsn ? [lsnColumn] : [])];
  return `unnest(${carriers.map((carrier, index) => `$${index + 1}::${carrier}[]`).join(', ')}) AS n(${names.join(', ')})`;
}

function castCell({ name, cast }: MirrorColumn): string {
  const cell = `n.${escapeIdentifier(name)}`;
  return cast === null ? cell : `${cell}::${cast}`;
}

function sameKey(mirror: Mirror, alias: string): string {
  return pick(mirror, mirror.key)
    .map((column) => `${alias}.${escapeIdentifier(column.name)} = ${castCell(column)}`)
    .join(' AND ');
}

function parameters(columns: readonly MirrorColumn[], indexes: readonly number[], rows: readonly Upsert[]): string[] {
  const cells = columns.map((column, at) => {
    const index = indexes[at] ?? 0;
    return columnParameter(
      column,
      rows.map((row) => row.cells[index]),
    );
  });
  return [...cells, plainArrayLiteral(rows.map(({ lsn }) => (lsn === null ? null : String(lsn))))];
}

function columnParameter({ plain }: MirrorColumn, cells: readonly CellText[]): string {
  const values = cells.map((cell) => cell ?? null);
  return plain ? plainArrayLiteral(values) : arrayLiteral(values);
}
