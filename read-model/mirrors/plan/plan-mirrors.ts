import { escapeIdentifier as quoted, escapeLiteral as literal } from 'pg';
import { formatTableId, type TableId } from '#change-events/index.ts';
import { bytesComment, deletedColumn, historyTable, lsnColumn } from '../own-columns.ts';
import type { WantedMirror } from './wanted-mirrors.ts';

/** A column's type as SQL, and without length or scale. */
type ExistingType = { readonly type: string; readonly base: string };

/** A mirror as the read database has it. */
export type ExistingMirror = {
  readonly table: string;
  readonly source: TableId;
  readonly deletes: 'remove' | 'mark';
  readonly history: boolean;
  readonly follows: boolean;
  readonly configured: boolean;
  /** Columns of the table, ours too; empty where it does not exist. */
  readonly columns: ReadonlyMap<string, ExistingType>;
  readonly historyColumns: ReadonlySet<string>;
  /** Columns of its primary key, in the key's order. */
  readonly key: readonly string[];
};

/** One thing that `migrate` does. `statements` name tables without schema. */
export type MirrorStep = {
  readonly mirror: string;
  readonly what: string;
  readonly statements: readonly string[];
  /** The table whose topic then fills it, from its beginning. */
  readonly fills?: TableId;
  /** Whether its columns are others then, so that who writes must read them again. */
  readonly reshapes: boolean;
};

export type MirrorPlan = {
  readonly steps: readonly MirrorStep[];
  /** What differs and is left as it is, in words, with what to do about it. */
  readonly notes: readonly string[];
  /** Mirrors that a note says to drop. */
  readonly droppable: readonly string[];
};

/**
 * What makes the mirrors of a model what its configuration asks for. Nothing is taken away but the tables in `drop`: columns that are gone at the source stay, other types
 * are named, and mirrors that are no longer configured go on until they are dropped.
 *
 * @param topicOf the topic that feeds a mirror
 * @param drop names of mirrors; one that is asked for is made again by the next plan
 */
export function planMirrors(
  wanted: readonly WantedMirror[],
  existing: readonly ExistingMirror[],
  topicOf: (source: TableId) => string,
  drop: readonly string[] = [],
): MirrorPlan {
  const steps: MirrorStep[] = [];
  const notes: string[] = [];
  const droppable: string[] = [];
  const bySource = new Map(existing.map((mirror) => [formatTableId(mirror.source), mirror]));
  for (const mirror of wanted) {
    const found = bySource.get(formatTableId(mirror.source));
    if (found !== undefined && drop.includes(found.table)) continue;
    if (found === undefined) steps.push(creation(mirror));
    else {
      steps.push(...changes(mirror, found));
      const { kept, again } = differences(mirror, found);
      notes.push(...kept, ...again);
      if (again.length > 0) droppable.push(found.table);
    }
  }
  const asked = new Set(wanted.map(({ source }) => formatTableId(source)));
  for (const mirror of existing) {
    const { table, configured } = mirror;
    const source = formatTableId(mirror.source);
    if (drop.includes(table)) steps.push(removal(mirror, topicOf(mirror.source)));
    else if (configured && !asked.has(source)) {
      notes.push(
        `${table} (of ${source}) is no longer configured, but still kept in sync. To remove it: cdc read-model migrate --drop ${table}`,
      );
      droppable.push(table);
    }
  }
  return { steps, notes, droppable };
}

function creation(mirror: WantedMirror): MirrorStep {
  const { table, columns, key, source, deletes, history } = mirror;
  const isKey = new Set(key);
  const list = [
    ...columns.map(({ name, type }) => `${quoted(name)} ${type}${isKey.has(name) ? ' NOT NULL' : ''}`),
    `${quoted(lsnColumn)} bigint`,
    ...(deletes === 'mark' ? [`${quoted(deletedColumn)} timestamptz`] : []),
    `PRIMARY KEY (${key.map(quoted).join(', ')})`,
  ];
  return {
    mirror: table,
    fills: source,
    what: `make ${table}, the mirror of ${formatTableId(source)}${lacking(mirror)}`,
    statements: [
      `CREATE TABLE ${quoted(table)} (\n  ${list.join(',\n  ')}\n)`,
      ...columns.flatMap((column) => bytesStatement(table, column)),
      ...(history ? historyStatements(mirror) : []),
      `INSERT INTO mirrored_tables (mirror_table, source_schema, source_table, deletes, history, follows, configured) VALUES (${[table, source.schema, source.table].map(literal).join(', ')}, '${deletes}', ${history}, ${mirror.follows}, true)`,
    ],
    reshapes: false,
  };
}

/** The columns that are text for want of their extension. */
function lacking({ columns, key }: WantedMirror): string {
  const lacked = columns.filter(({ name, type, extensionType }) => extensionType !== undefined && type === 'text' && !key.includes(name));
  if (lacked.length === 0) return '';
  return ` (text, as the read database has no such extension: ${lacked.map(({ name, extensionType }) => `${name} ${extensionType}`).join(', ')})`;
}

function bytesStatement(table: string, { name, bytes }: WantedMirror['columns'][number]): readonly string[] {
  return bytes === true ? [`COMMENT ON COLUMN ${quoted(table)}.${quoted(name)} IS ${literal(bytesComment)}`] : [];
}

function historyStatements({ table, columns, key }: WantedMirror): readonly string[] {
  const history = historyTable(table);
  const own = [
    '_op text NOT NULL',
    '_at timestamptz',
    '_tx text',
    '_lsn bigint',
    '_unchanged text[]',
    '_partition integer NOT NULL',
    '_offset bigint NOT NULL',
    'PRIMARY KEY (_partition, _offset)',
  ];
  return [
    `CREATE TABLE ${quoted(history)} (\n  ${[...columns.map(({ name, type }) => `${quoted(name)} ${type}`), ...own].join(',\n  ')}\n)`,
    `CREATE INDEX ON ${quoted(history)} (${[...key.map(quoted), '_partition', '_offset'].join(', ')})`,
  ];
}

function changes(wanted: WantedMirror, found: ExistingMirror): readonly MirrorStep[] {
  const { table } = found;
  const steps: MirrorStep[] = [];
  const step = (what: string, statements: readonly string[], reshapes = true): void =>
    void steps.push({ mirror: table, what, statements, reshapes });
  const set = (assignment: string): string => `UPDATE mirrored_tables SET ${assignment} WHERE mirror_table = ${literal(table)}`;
  if (found.columns.size > 0) {
    const added = wanted.columns.filter(({ name }) => !found.columns.has(name));
    for (const column of added) {
      const { name, type } = column;
      const statements = [`ALTER TABLE ${quoted(table)} ADD COLUMN ${quoted(name)} ${type}`, ...bytesStatement(table, column)];
      if (found.history && !found.historyColumns.has(name))
        statements.push(`ALTER TABLE ${quoted(historyTable(table))} ADD COLUMN ${quoted(name)} ${type}`);
      step(
        `add column ${name} to ${table}: null until the row's next event (cdc connectors snapshot, or cdc poller reset, brings all)`,
        statements,
      );
    }
  }
  if (wanted.deletes === 'mark' && found.deletes === 'remove')
    step(`mark deleted rows of ${table}`, [
      ...(found.columns.has(deletedColumn) ? [] : [`ALTER TABLE ${quoted(table)} ADD COLUMN ${quoted(deletedColumn)} timestamptz`]),
      set("deletes = 'mark'"),
    ]);
  if (wanted.history && !found.history)
    step(`keep the history of ${table} from now on`, [
      ...(found.historyColumns.size > 0 ? [] : historyStatements({ ...wanted, table, columns: allColumns(wanted, found) })),
      set('history = true'),
    ]);
  if (!wanted.history && found.history)
    step(`stop keeping the history of ${table}; ${historyTable(table)} stays`, [set('history = false')]);
  if (wanted.follows !== found.follows)
    step(`${wanted.follows ? 'follow' : 'do not follow'} columns that the source of ${table} gets`, [set(`follows = ${wanted.follows}`)]);
  if (!found.configured) step(`take ${table} over into the configuration`, [set('configured = true')], false);
  return steps;
}

/** The mirror's columns as they are, and those that it gets: a history has them all. */
function allColumns(wanted: WantedMirror, found: ExistingMirror): WantedMirror['columns'] {
  const types = new Map(wanted.columns.map(({ name, type }) => [name, type]));
  const kept = [...found.columns].flatMap(([name, { type }]) => (name === lsnColumn || name === deletedColumn ? [] : [{ name, type }]));
  const names = new Set(kept.map(({ name }) => name));
  return [...kept, ...[...types].flatMap(([name, type]) => (names.has(name) ? [] : [{ name, type }]))];
}

/** What only a person decides: it would rewrite rows (`kept`), or only a mirror that is made again has it (`again`). */
function differences(wanted: WantedMirror, found: ExistingMirror): { readonly kept: readonly string[]; readonly again: readonly string[] } {
  const { table, columns } = found;
  const again: string[] = [];
  const kept: string[] = [];
  const rebuilt = `Make it again: cdc read-model migrate --drop ${table}, then cdc read-model migrate; it is filled from the beginning of its topic.`;
  if (columns.size === 0) return { kept, again: [`${table} is listed, but the table does not exist. ${rebuilt}`] };
  if (wanted.table !== table) again.push(`${table} is asked for as ${wanted.table}. ${rebuilt}`);
  if (wanted.deletes === 'remove' && found.deletes === 'mark')
    again.push(`${table} marks deleted rows, and is asked to remove them. ${rebuilt}`);
  if (found.key.join('\n') !== wanted.key.join('\n'))
    again.push(`${table} has the key (${found.key.join(', ')}), and its events the key (${wanted.key.join(', ')}). ${rebuilt}`);
  for (const { name, type, extensionType } of wanted.columns) {
    const now = columns.get(name);
    // Made before the read database had the extension.
    if (extensionType !== undefined && now?.base === 'text') continue;
    if (now !== undefined && now.base !== baseOf(type))
      kept.push(
        `${table}.${name} is ${now.type}, and its source asks for ${type}. When nobody waits for the table: ALTER TABLE ${quoted(table)} ALTER COLUMN ${quoted(name)} TYPE ${type} USING ${quoted(name)}::${type}; UPDATE mirrored_tables SET columns_version = columns_version + 1 WHERE mirror_table = ${literal(table)}`,
      );
  }
  return { kept, again };
}

/** As the server writes it without a modifier: wanted types are written so too (make-mirrors.ts). */
function baseOf(type: string): string {
  return type.replace(/\(\d+\)/, '');
}

function removal({ table, history }: ExistingMirror, topic: string): MirrorStep {
  return {
    mirror: table,
    what: `drop ${table}, and how far it was applied`,
    statements: [
      `DROP TABLE ${quoted(table)}`,
      ...(history ? [`DROP TABLE ${quoted(historyTable(table))}`] : []),
      ...['applied_offsets', 'apply_log', 'halted_partitions', 'parked_events'].map(
        (own) => `DELETE FROM ${own} WHERE topic = ${literal(topic)}`,
      ),
      `DELETE FROM moved_rows WHERE mirror_table = ${literal(table)}`,
      `DELETE FROM mirrored_tables WHERE mirror_table = ${literal(table)}`,
    ],
    reshapes: false,
  };
}
