import type { SelectStmt } from '@pgsql/types';
import { CdcError, ownMember } from '#pipeline/index.ts';
import type { ClientBase } from 'pg';
import { createBinder } from './derive/bind.ts';
import type { ModelTables } from './derive/binder.ts';
import { kindOf, readFunctions, readTables, type KnownFunction } from './derive/catalogue.ts';
import { derive, type Derived } from './derive/derive.ts';
import { narrow } from './derive/narrow.ts';
import type { Query } from './derive/query-model.ts';
import { functionNames, refusedIn } from './grammar/refused.ts';
import { loadGrammar, names, plain, selectOf, SyntaxProblem, walk, type Grammar } from './grammar/sql-tree.ts';
import { askColumns, tryStatement } from './describe.ts';
import type { FileProblem, Header, ProjectionFile } from './projection-file.ts';
import type { KeyColumn, Projection, Touch } from './projection.ts';
import { createTableOf, upkeepOf } from './upkeep.ts';

/** What is no error, and its owner should know. */
export type ProjectionWarning = { readonly file: string; readonly line: number; readonly text: string; readonly sql?: string };

export type CheckedProjections = { readonly projections: readonly Projection[]; readonly warnings: readonly ProjectionWarning[] };

/** What checking one file needs, and where it puts what it finds. */
type Check = {
  readonly client: ClientBase;
  readonly grammar: Grammar;
  readonly tables: ModelTables;
  readonly file: ProjectionFile;
  readonly refuse: (line: number, text: string) => void;
  readonly warn: (line: number, text: string, sql?: string) => void;
};

/**
 * Makes projections of files: their SQL is checked by Postgres itself against the mirrors, and what touches them is derived. Within a
 * transaction of `client` in which names without schema are the model's; it writes nothing.
 *
 * @throws CdcError READ_MODEL_PROJECTION_INVALID with all problems of all files
 */
export async function checkProjections(client: ClientBase, files: readonly ProjectionFile[]): Promise<CheckedProjections> {
  if (files.length === 0) return { projections: [], warnings: [] };
  const problems: FileProblem[] = files.flatMap((file) => file.problems);
  const warnings: ProjectionWarning[] = [];
  const [grammar, tables] = [await loadGrammar(), await readTables(client)];
  const projections: Projection[] = [];
  for (const file of files) {
    const check: Check = {
      client,
      grammar,
      tables,
      file,
      refuse: (line, text) => void problems.push({ file: file.file, line, text }),
      warn: (line, text, sql) => void warnings.push({ file: file.file, line, text, ...(sql === undefined ? {} : { sql }) }),
    };
    if (tables.has(file.name)) check.refuse(1, `the view would have the name of mirror ${file.name}: give the file another one`);
    if (files.some((other) => other !== file && other.name === file.name)) check.refuse(1, `another file is named ${file.name}.sql too`);
    const projection = await checkProjection(check);
    if (projection !== null) projections.push(projection);
  }
  if (problems.length > 0) {
    const list = problems.map(({ file, line, text }) => `${file}:${line}: ${text}`);
    throw new CdcError(
      'READ_MODEL_PROJECTION_INVALID',
      `${list.length === 1 ? 'a projection' : `${list.length} problems of projections`}:\n${list.join('\n')}`,
    );
  }
  return { projections, warnings };
}

/** Makes a view's table, empty, in the schema that the search path begins with. */
export async function createProjection(client: Pick<ClientBase, 'query'>, { createTable }: Projection): Promise<void> {
  for (const statement of createTable) await client.query(statement);
}

/** Null where something was refused. */
async function checkProjection(check: Check): Promise<Projection | null> {
  const { client, grammar, tables, file } = check;
  const select = parseQuery(check);
  const key = file.key === null ? null : columnList(check, file.key, 'key');
  const indexes = file.indexes.map((header) => columnList(check, header, 'index'));
  if (select === null) return null;
  const functions = await readFunctions(client, functionNames(select));
  const refused = refusedIn({ SelectStmt: select }, functions);
  for (const { at, text } of refused) check.refuse(lineAt(file, at), text);
  const before = plain(select);
  const { text, line } = statementOf(check);
  const asWritten = await askColumns(client, text);
  if ('message' in asWritten) {
    check.refuse(line - 1 + lineOfCharacter(text, asWritten.at), asWritten.message);
    return null;
  }
  const query = bind(check, select, functions);
  if (query === null || refused.length > 0 || key === null) return null;
  const sql = sqlOf(check, select, before, text);
  if (sql === null) return null;
  const described = await askColumns(client, sql);
  if ('message' in described) {
    check.refuse(1, described.message);
    return null;
  }
  const { columns } = described;
  const missing = [...key, ...indexes.flatMap((index) => index ?? [])].filter((name) => !columns.some((column) => column.name === name));
  for (const name of missing)
    check.refuse(file.key?.line ?? 1, `the query has no column ${name}; it has ${columns.map((column) => column.name).join(', ')}`);
  const twice = columns.find((column, index) => columns.findIndex((other) => other.name === column.name) !== index);
  if (twice !== undefined) check.refuse(1, `two columns are named ${twice.name}: give one another name with AS`);
  if (missing.length > 0 || twice !== undefined || indexes.includes(null)) return null;
  const keyColumns = key.flatMap((name) => columns.filter((column) => column.name === name));
  const derived = derive({
    grammar,
    query,
    keyColumns,
    keyIndexes: key.map((name) => columns.findIndex((column) => column.name === name)),
  });
  const overlooked = mirrorsNamed(select, tables).filter((name) => !derived.reads.includes(name));
  for (const name of overlooked)
    check.refuse(
      firstLine(file),
      `it is not certain which keys a change of ${name} touches: it is named where nothing is derived, or in a WITH that nothing uses`,
    );
  const touchedBy = await touchesOf(check, derived, keyColumns);
  if (touchedBy === null || overlooked.length > 0) return null;
  const view = { name: file.name, query: sql, key: keyColumns, columns: columns.map((column) => column.name) };
  const upkeep = upkeepOf(view, await narrowedQuery(check, select, query, view));
  const failure = await tryStatement(client, upkeep.duplicate?.ofKeys ?? 'SELECT 1');
  if (failure !== null) {
    check.refuse(file.key?.line ?? 1, `the key’s type cannot be a key: ${failure}`);
    return null;
  }
  warnOf(check, derived);
  return {
    name: file.name,
    key: keyColumns,
    reads: derived.reads,
    touchedBy,
    ...upkeep,
    createTable: createTableOf(
      view,
      indexes.flatMap((index) => (index === null ? [] : [index])),
    ),
  };
}

/** The query for many keys at once; null where it is not certain that it is made for them alone. It changes the tree. */
async function narrowedQuery(
  { client, grammar }: Check,
  select: SelectStmt,
  query: Query,
  view: Parameters<typeof upkeepOf>[0],
): Promise<string | null> {
  const indexes = view.key.map(({ name }) => view.columns.indexOf(name));
  const types = view.key.map(({ type }) => type);
  const sql = narrow(grammar, query, indexes, types) ? grammar.write({ SelectStmt: select }) : null;
  const [statement] = sql === null ? [] : upkeepOf(view, sql).upkeepOfMany;
  return statement !== undefined && (await tryStatement(client, `SELECT * FROM (${sql}) AS q`)) === null ? sql : null;
}

/** The mirrors that a query names anywhere; a name that a WITH has too may be the WITH's. */
function mirrorsNamed(select: SelectStmt, tables: ModelTables): readonly string[] {
  const found = new Set<string>();
  const ctes = new Set<string>();
  walk(select, (node) => {
    if ('RangeVar' in node) found.add(node.RangeVar.relname ?? '');
    if ('CommonTableExpr' in node) ctes.add(node.CommonTableExpr.ctename ?? '');
    return true;
  });
  return [...found].filter((name) => tables.has(name) && !ctes.has(name));
}

function parseQuery({ grammar, file, refuse }: Check): SelectStmt | null {
  try {
    const [first, ...more] = grammar.parse(file.text).stmts ?? [];
    const select = selectOf(first?.stmt);
    if (select !== undefined && more.length === 0) return select;
    refuse(first === undefined ? 1 : lineOf(file.text, first.stmt_location ?? 0), 'a projection is one SELECT, and nothing else');
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    refuse(lineOfCharacter(file.text, error.at), error.message);
  }
  return null;
}

/** Names as SQL has them, with commas between. */
function columnList({ grammar, refuse }: Check, { text, line }: Header, what: string): readonly string[] | null {
  try {
    const select = selectOf(grammar.parse(`SELECT ${text}`).stmts?.[0]?.stmt);
    const found = (select?.targetList ?? []).map((target) => {
      const value = 'ResTarget' in target && target.ResTarget.name === undefined ? target.ResTarget.val : undefined;
      const [name, ...more] = value !== undefined && 'ColumnRef' in value ? names(value.ColumnRef.fields) : [];
      return more.length === 0 ? name : undefined;
    });
    const known = found.flatMap((name) => name ?? []);
    if (known.length > 0 && known.length === found.length && select?.fromClause === undefined) return known;
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
  }
  refuse(line, `-- ${what}: names columns of the query, with commas between`);
  return null;
}

/** The statement's own text, without what ends it: it becomes part of other statements. And the line on which it begins. */
function statementOf({ grammar, file }: Check): { readonly text: string; readonly line: number } {
  const [first] = grammar.parse(file.text).stmts ?? [];
  const bytes = Buffer.from(file.text);
  const from = first?.stmt_location ?? 0;
  const to = first?.stmt_len === undefined ? bytes.length : from + first.stmt_len;
  return { text: `${bytes.subarray(from, to).toString()}\n`, line: lineOf(file.text, from) };
}

/** The query that the view is kept by: the owner's own text, unless a star in it or a WITH is to mean something else than it says. */
function sqlOf({ grammar, file, refuse }: Check, select: SelectStmt, before: string, text: string): string | null {
  if (plain(select) === before) return text;
  const written = grammar.write({ SelectStmt: select });
  if (written !== null) return written;
  // To inline a WITH is only quicker.
  if (before === plain(select).replaceAll('"CTEMaterializeNever"', '"CTEMaterializeDefault"')) return text;
  refuse(firstLine(file), 'name the columns in place of each star, and of NATURAL: this query cannot be written with them in their place');
  return null;
}

function bind(
  { tables, file, refuse }: Check,
  select: SelectStmt,
  functions: readonly KnownFunction[],
): ReturnType<ReturnType<typeof createBinder>['query']> | null {
  const binder = createBinder(tables, (name) => kindOf(functions, name), []);
  const query = binder.query(select, null);
  const said = new Set<string>();
  for (const { at, text } of binder.problems) {
    const line = lineAt(file, at);
    // A CTE is bound wherever it is named.
    if (!said.has(`${line} ${text}`)) refuse(line, text);
    said.add(`${line} ${text}`);
  }
  return binder.problems.length > 0 ? null : query;
}

/** What touches the view: what its header says, and what was derived for the other mirrors. Null where something was refused. */
async function touchesOf(check: Check, derived: Derived, key: readonly KeyColumn[]): Promise<Projection['touchedBy'] | null> {
  const { client, file, refuse } = check;
  const entries: [string, readonly Touch[]][] = [];
  let sound = true;
  for (const { mirror, line, text } of file.touchedBy) {
    if (!derived.reads.includes(mirror)) {
      refuse(line, `the query does not read ${mirror}; it reads ${derived.reads.join(', ')}`);
      sound = false;
      continue;
    }
    const columns = key.map(({ type }, index) => `k.c${index}::${type}`).join(', ');
    const sql = `SELECT DISTINCT ${columns} FROM (${text.replace(/;\s*$/, '')}) AS k (${key.map((_, index) => `c${index}`).join(', ')})`;
    const failure = await tryStatement(client, sql);
    if (failure !== null) refuse(line, `-- touched by ${mirror}: ${failure}`);
    sound &&= failure === null;
    entries.push([mirror, [{ sql, joins: true }]]);
  }
  for (const mirror of derived.reads) {
    if (file.touchedBy.some((header) => header.mirror === mirror)) continue;
    const found = ownMember(derived.touchedBy, mirror);
    const failures = found === undefined || 'uncertain' in found ? [] : await failing(client, found);
    const why = found === undefined ? 'it is not read' : 'uncertain' in found ? found.uncertain : failures[0];
    if (why !== undefined) {
      refuse(
        firstLine(file),
        `it is not certain which keys a change of ${mirror} touches: ${why}. Change the query, or say it: -- touched by ${mirror}: SELECT …`,
      );
      sound = false;
    } else if (found !== undefined && !('uncertain' in found)) entries.push([mirror, found]);
  }
  return sound ? Object.fromEntries(entries) : null;
}

async function failing(client: ClientBase, touches: readonly Touch[]): Promise<readonly string[]> {
  const failures: string[] = [];
  for (const touch of touches) {
    const failure = 'sql' in touch ? await tryStatement(client, touch.sql) : null;
    if (failure !== null) failures.push(failure);
  }
  return failures;
}

function warnOf({ file, warn }: Check, { touchesAll, missingIndexes, unique }: Derived): void {
  const line = firstLine(file);
  for (const mirror of touchesAll) {
    if (file.touchedBy.some((header) => header.mirror === mirror)) continue;
    warn(line, `every change of ${mirror} makes the whole view again: nothing in the query joins its rows to single keys`);
  }
  for (const { table, columns, sql } of missingIndexes) {
    warn(line, `${table} is read whole for every batch, as it has no index that begins with ${columns.join(' or ')}`, sql);
  }
  if (!unique) warn(file.key?.line ?? 1, 'nothing proves that the key is unique: the view halts when two rows have the same');
}

/** A place that is not known is the query's beginning. */
function lineAt(file: ProjectionFile, at: number): number {
  return at === 0 ? firstLine(file) : lineOf(file.text, at);
}

/** Where the query begins. */
function firstLine({ text }: ProjectionFile): number {
  const index = text.split('\n').findIndex((line) => line.trim() !== '' && !line.trim().startsWith('--'));
  return index + 1;
}

function lineOf(text: string, byte: number): number {
  return Buffer.from(text).subarray(0, byte).toString().split('\n').length;
}

function lineOfCharacter(text: string, character: number): number {
  return Array.from(text).slice(0, character).join('').split('\n').length;
}
