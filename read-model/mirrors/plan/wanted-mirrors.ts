import { formatTableId, type CapturedTable, type CapturedTables } from '#change-events/index.ts';
import {
  CdcError,
  formatPath,
  isTablePattern,
  matchesTable,
  type Locate,
  type MirrorTableConfig,
  type SettingPath,
} from '#pipeline/index.ts';
import { columnsMost, unfitName } from '../column-demand.ts';
import { deletedColumn, historyColumns, historyTable, lsnColumn } from '../own-columns.ts';

/** Reads what a model's strategy captures; given by whoever knows the source, which this folder does not. */
export type ReadCaptured = (topicPrefix: string) => Promise<CapturedTables>;

/** A mirror as the configuration asks for it. */
export type WantedMirror = CapturedTable & {
  /** The mirror's name. */
  readonly table: string;
  readonly deletes: 'remove' | 'mark';
  readonly history: boolean;
  /** Whether it gets the columns that its source gets later. */
  readonly follows: boolean;
};

export type WantedMirrors = { readonly mirrors: readonly WantedMirror[]; readonly unfit: CapturedTables['unfit'] };

/**
 * What a model's `tables` ask for, of what its strategy captures: all of it where they are left out. The first entry that names a table counts, a name before a
 * pattern.
 *
 * @throws CdcError READ_MODEL_TABLES_INVALID with all problems: a table that is not captured or has no key, unknown columns, names that collide
 */
export function wantedMirrors(
  model: string,
  entries: readonly MirrorTableConfig[] | undefined,
  { tables, unfit }: CapturedTables,
  locate: Locate = formatPath,
): WantedMirrors {
  const problems: string[] = [];
  const whole: SettingPath = ['readModel', 'models', model];
  const placeOf = (entry: MirrorTableConfig | null): string =>
    locate(entry === null || entries === undefined ? whole : [...whole, 'tables', entries.indexOf(entry)]);
  const named = (entries ?? []).filter(({ table }) => !isTablePattern(table));
  const known = new Map(tables.map((table) => [formatTableId(table.source), table]));
  const whyUnfit = new Map(unfit.map(({ source, why }) => [formatTableId(source), why]));
  for (const entry of named) {
    const { table } = entry;
    const why = whyUnfit.get(table);
    if (why !== undefined) problems.push(`${placeOf(entry)}: ${table} cannot be mirrored: ${why}`);
    else if (!known.has(table))
      problems.push(`${placeOf(entry)}: ${table} is not captured under the model's topicPrefix${captured(known)}`);
  }
  for (const entry of entries ?? []) {
    if (isTablePattern(entry.table) && !tables.some(({ source }) => matchesTable(entry, formatTableId(source))))
      problems.push(`${placeOf(entry)}: ${entry.table} matches no captured table${captured(known)}`);
  }
  const mirrors: WantedMirror[] = [];
  const places: string[] = [];
  const left: CapturedTables['unfit'][number][] = entries === undefined ? [...unfit] : [];
  for (const source of tables) {
    const name = formatTableId(source.source);
    const entry =
      named.find(({ table }) => table === name) ?? entries?.find((one) => isTablePattern(one.table) && matchesTable(one, name)) ?? null;
    if (entry === null && entries !== undefined) continue;
    const { mirror, problem } = wantedOf(source, entry);
    if (problem === null) {
      mirrors.push(mirror);
      places.push(placeOf(entry));
    } else if (entry !== null && !isTablePattern(entry.table)) problems.push(`${placeOf(entry)}: ${name}: ${problem}`);
    else left.push({ source: source.source, why: problem });
  }
  problems.push(...collisions(places, mirrors));
  if (problems.length > 0) throw new CdcError('READ_MODEL_TABLES_INVALID', problems.join('\n'));
  return { mirrors, unfit: left };
}

function captured(known: ReadonlyMap<string, unknown>): string {
  const names = [...known.keys()];
  if (names.length === 0) return ', and nothing else is';
  return `, which has ${names.slice(0, 10).join(', ')}${names.length > 10 ? ` and ${names.length - 10} more` : ''}`;
}

function wantedOf(
  source: CapturedTable,
  entry: MirrorTableConfig | null,
): { readonly mirror: WantedMirror; readonly problem: string | null } {
  const asked = entry?.columns;
  const columns = asked === undefined ? source.columns : source.columns.filter(({ name }) => asked.includes(name));
  const mirror: WantedMirror = {
    ...source,
    columns,
    table: entry?.name ?? source.source.table,
    deletes: entry?.deletes ?? 'remove',
    history: entry?.history ?? false,
    follows: asked === undefined,
  };
  const missing = (asked ?? []).filter((name) => !source.columns.some((column) => column.name === name));
  if (missing.length > 0) return { mirror, problem: `columns: the table has no ${missing.join(', ')}` };
  return { mirror, problem: unfitMirror(mirror) };
}

/** Why no table of Postgres can be this mirror; null when one can. */
function unfitMirror({ table, columns, key, history, deletes }: WantedMirror): string | null {
  if (key.length === 0) return 'it has no key, so its events do not say which row they are about';
  const keyless = key.filter((name) => !columns.some((column) => column.name === name));
  if (keyless.length > 0) return `columns: the key needs ${keyless.join(', ')}`;
  const longest = history ? historyTable(table) : table;
  if (unfitName(longest) !== null) return `${unfitName(longest)?.replace(/^column/, 'table')}: give it a name (name)`;
  const ours = [lsnColumn, ...(deletes === 'mark' ? [deletedColumn] : []), ...(history ? historyColumns : [])];
  for (const { name } of columns) {
    const why = ours.includes(name) ? `the mirror has a column ${name} of its own` : unfitName(name);
    if (why !== null) return `${why}: leave it out (columns)`;
  }
  const most = columnsMost - Math.max(ours.length, historyColumns.length);
  return columns.length > most ? `it has ${columns.length} columns, and a mirror takes ${most}: leave some out (columns)` : null;
}

/** Names that a model's own tables have in its schema. */
const ownTables: ReadonlySet<string> = new Set([
  'mirrored_tables', 'applied_offsets', 'apply_log', 'moved_rows', 'model_version', 'parked_events', 'freshness', 'halted_partitions',
  'knex_migrations', 'knex_migrations_lock', 'schema_migrations',
]); // prettier-ignore

function collisions(places: readonly string[], mirrors: readonly WantedMirror[]): readonly string[] {
  const problems: string[] = [];
  const taken = new Map<string, string>();
  for (const [index, { table, source, history }] of mirrors.entries()) {
    const place = places[index] ?? '';
    const name = formatTableId(source);
    for (const one of [table, ...(history ? [historyTable(table)] : [])]) {
      const other = taken.get(one);
      if (ownTables.has(one)) problems.push(`${place}: ${name}: the model has a table ${one} of its own: give the mirror a name (name)`);
      else if (other !== undefined)
        problems.push(`${place}: ${other} and ${name} would both be ${one} in the model: give one of them a name (name)`);
      taken.set(one, name);
    }
  }
  return problems;
}
