import { escapeIdentifier as quoted } from 'pg';
import { queryText, text, type Database } from '../database.ts';
import type { ProjectionWarning } from './check-projections.ts';
import type { ProjectionFile } from './projection-file.ts';
import type { Projection } from './projection.ts';
import { fingerprintOf } from './stored-projections.ts';

/** A column of a view's table. */
type ViewColumn = { readonly name: string; /** As SQL, with a collation of its own. */ readonly type: string };

/** A view that `migrate` makes, empty. */
export type ViewStep = {
  readonly name: string;
  readonly file: string;
  readonly columns: readonly ViewColumn[];
  /** The table with its key and indexes, and the indexes of mirrors that its upkeep needs. They name tables without schema. */
  readonly statements: readonly string[];
};

/** The columns of tables of the session's current schema; those that are not there are left out. */
export async function viewColumns(database: Database, views: readonly string[]): Promise<ReadonlyMap<string, readonly ViewColumn[]>> {
  const rows = await queryText(
    database,
    `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) ||
            CASE WHEN a.attcollation <> t.typcollation THEN format(' COLLATE %I.%I', n.nspname, o.collname) ELSE '' END
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
       LEFT JOIN pg_collation o ON o.oid = a.attcollation LEFT JOIN pg_namespace n ON n.oid = o.collnamespace
      WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::name[]) ORDER BY c.relname, a.attnum`,
    [views],
  );
  const byView = Map.groupBy(rows, (row) => text(row, 0));
  return new Map([...byView].map(([view, columns]) => [view, columns.map((row) => ({ name: text(row, 1), type: text(row, 2) }))]));
}

/** What was made, or would be, as SQL that says its types: the views' tables are there. */
export async function viewSteps(
  database: Database,
  files: readonly ProjectionFile[],
  projections: readonly Projection[],
  warnings: readonly ProjectionWarning[],
): Promise<readonly ViewStep[]> {
  const found = await viewColumns(
    database,
    projections.map(({ name }) => name),
  );
  return projections.map(({ name, createTable }) => {
    const file = files.find((one) => one.name === name)?.file ?? '';
    const columns = found.get(name) ?? [];
    const list = columns.map((column) => `${quoted(column.name)} ${column.type}`);
    const [, ...keyAndIndexes] = createTable;
    const needed = warnings.flatMap((warning) => (warning.file === file && warning.sql !== undefined ? [warning.sql] : []));
    return { name, file, columns, statements: [`CREATE TABLE ${quoted(name)} (\n  ${list.join(',\n  ')}\n)`, ...keyAndIndexes, ...needed] };
  });
}

/**
 * In what files differ from those that a model's views were made by.
 *
 * @param stored the files as they were then, `columns` of the views' tables as they are
 * @param steps what the files would make
 */
export function viewDifferences(
  { stored, columns }: { readonly stored: readonly ProjectionFile[]; readonly columns: ReadonlyMap<string, readonly ViewColumn[]> },
  files: readonly ProjectionFile[],
  steps: readonly ViewStep[],
): readonly string[] {
  const differences = files.flatMap((file) => {
    const former = stored.find(({ name }) => name === file.name);
    const step = steps.find(({ name }) => name === file.name);
    if (former === undefined)
      return [`${file.file}: the view ${file.name} is not there yet:\n${(step?.statements ?? []).map((sql) => `${sql};`).join('\n')}`];
    if (fingerprintOf([former]) === fingerprintOf([file])) return [];
    const what = [
      ...columnDifferences(columns.get(file.name) ?? [], step?.columns ?? []),
      ...(former.key?.text === file.key?.text ? [] : [`the key is (${file.key?.text ?? ''}), was (${former.key?.text ?? ''})`]),
      ...headerDifferences('an index on', former.indexes.map(shown), file.indexes.map(shown)),
      ...headerDifferences(
        'touched by',
        former.touchedBy.map((header) => `${header.mirror}: ${shown(header)}`),
        file.touchedBy.map((header) => `${header.mirror}: ${shown(header)}`),
      ),
      ...(fingerprintOf([bare(former)]) === fingerprintOf([bare(file)]) ? [] : ['the query is another one']),
    ];
    return [`${file.file}: the view ${file.name} was made by what the file was before: ${what.join('; ')}`];
  });
  const gone = stored.filter(({ name }) => !files.some((file) => file.name === name));
  return [...differences, ...gone.map(({ file, name }) => `${file}: the view ${name} is there, and its file is no more`)];
}

function columnDifferences(before: readonly ViewColumn[], after: readonly ViewColumn[]): readonly string[] {
  const [was, is] = [before, after].map((columns) => new Map(columns.map(({ name, type }) => [name, type])));
  return [
    ...after.flatMap(({ name, type }) => {
      const former = was?.get(name);
      if (former === undefined) return [`column ${name} ${type} is new`];
      return former === type ? [] : [`column ${name} is ${type}, was ${former}`];
    }),
    ...before.flatMap(({ name }) => (is?.has(name) === true ? [] : [`column ${name} is gone`])),
  ];
}

function headerDifferences(what: string, before: readonly string[], after: readonly string[]): readonly string[] {
  return [
    ...after.filter((one) => !before.includes(one)).map((one) => `${what} ${one} is new`),
    ...before.filter((one) => !after.includes(one)).map((one) => `${what} ${one} is gone`),
  ];
}

function shown({ text: said }: { readonly text: string }): string {
  return said.replaceAll(/\s+/g, ' ');
}

/** Its query alone. */
function bare(file: ProjectionFile): ProjectionFile {
  return { ...file, key: null, indexes: [], touchedBy: [] };
}
