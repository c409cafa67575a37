import { topicName, type TableId } from '#change-events/index.ts';
import { queryText, text, type Database } from '../../database.ts';
import { historyTable } from '../own-columns.ts';
import { whyNotDropped, type DropRefusal } from './mirror-readers.ts';
import { planMirrors, type ExistingMirror, type MirrorPlan } from './plan-mirrors.ts';
import type { WantedMirror } from './wanted-mirrors.ts';

/** What a model's mirrors are to be. */
export type MirrorsAsked = {
  readonly topicPrefix: string;
  readonly mirrors: readonly WantedMirror[];
  /** Names of mirrors to remove. */
  readonly drop?: readonly string[] | undefined;
};

/** A plan, and which of the drops that it was asked for it leaves out. */
export type MirrorsPlanned = Pick<MirrorPlan, 'steps' | 'notes'> & { readonly refused: readonly DropRefusal[] };

/** The plan for the model in the session's current schema, which has its own tables already. Within a transaction. */
export async function planFor(database: Database, { topicPrefix, mirrors, drop = [] }: MirrorsAsked): Promise<MirrorsPlanned> {
  const existing = await readExisting(database);
  const wanted = await withTypesOf(database, mirrors);
  const topicOf = (source: TableId): string => topicName(topicPrefix, source);
  const all = planMirrors(wanted, existing, topicOf, drop);
  const named = existing.filter(({ table }) => drop.includes(table) || all.droppable.includes(table)).map(({ table }) => table);
  const read = await whyNotDropped(database, named);
  const refused = read.filter(({ mirror }) => drop.includes(mirror));
  const plan =
    refused.length === 0
      ? all
      : planMirrors(
          wanted,
          existing,
          topicOf,
          drop.filter((name) => !refused.some(({ mirror }) => mirror === name)),
        );
  const unknown = drop.filter((name) => !existing.some(({ table }) => table === name));
  return {
    steps: plan.steps,
    notes: [
      ...plan.notes,
      ...read
        .filter(({ mirror }) => !drop.includes(mirror))
        .map(({ mirror, why, remedy }) => `${mirror} cannot be dropped as it is: ${why}. ${remedy}`),
      ...unknown.map((name) => `there is no mirror ${name} to drop`),
    ],
    refused,
  };
}

/** Carries a plan out, within the caller's transaction. Who writes a mirror that is reshaped is refused from its commit on, until he reads it again. */
export async function carryOut(database: Database, { steps }: Pick<MirrorPlan, 'steps'>): Promise<void> {
  const reshaped = [...new Set(steps.filter(({ reshapes }) => reshapes).map(({ mirror }) => mirror))];
  // First of all the rows that every writer shares: who waits for one then sees the version that this leaves.
  if (reshaped.length > 0)
    await database.query('UPDATE mirrored_tables SET columns_version = columns_version + 1 WHERE mirror_table = ANY ($1::name[])', [
      reshaped,
    ]);
  for (const { statements } of steps) for (const statement of statements) await database.query(statement);
}

async function readExisting(database: Database): Promise<readonly ExistingMirror[]> {
  const rows = await queryText(
    database,
    `SELECT m.mirror_table, m.source_schema, m.source_table, m.deletes, m.history, m.configured, m.follows, a.attname, format_type(a.atttypid, a.atttypmod),
            format_type(a.atttypid, -1), array_position(i.indkey::int2[], a.attnum)
       FROM mirrored_tables m
       LEFT JOIN pg_class c ON c.relname = m.mirror_table AND c.relnamespace = current_schema()::regnamespace
       LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
      ORDER BY m.mirror_table, a.attnum`,
  );
  const histories = Map.groupBy(
    await queryText(
      database,
      `SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1)`,
      [rows.map((row) => historyTable(text(row, 0)))],
    ),
    (row) => text(row, 0),
  );
  return [...Map.groupBy(rows, (row) => text(row, 0))].map(([table, columns]) => {
    const [first = []] = columns;
    const there = columns.filter((row) => row[7] !== null);
    return {
      table,
      source: { schema: text(first, 1), table: text(first, 2) },
      deletes: first[3] === 'mark' ? 'mark' : 'remove',
      history: first[4] === 't',
      configured: first[5] === 't',
      follows: first[6] === 't',
      columns: new Map(there.map((row) => [text(row, 7), { type: text(row, 8), base: text(row, 9) }])),
      historyColumns: new Set((histories.get(historyTable(table)) ?? []).map((row) => text(row, 1))),
      key: there
        .filter((row) => row[10] !== null)
        .toSorted((a, b) => Number(a[10]) - Number(b[10]))
        .map((row) => text(row, 7)),
    };
  });
}

/** Types as this server writes them, so that they can be compared with those of its tables. The length of a bit string stays. */
async function withTypesOf(database: Database, mirrors: readonly WantedMirror[]): Promise<readonly WantedMirror[]> {
  const asked = [...new Set(mirrors.flatMap(({ columns }) => columns.map(({ type }) => type)))];
  const rows = await queryText(database, 'SELECT t, format_type(to_regtype(t), -1) FROM unnest($1::text[]) AS t', [asked]);
  const written = new Map(rows.map((row) => [text(row, 0), row[1] ?? '']));
  const typeOf = (type: string): string => {
    const base = written.get(type) ?? '';
    const length = /\(\d+\)/.exec(type)?.[0] ?? '';
    if (base === '' || base === '-') return 'text';
    return base.endsWith('[]') ? `${base.slice(0, -2)}${length}[]` : `${base}${length}`;
  };
  const held = await extensionTypes(database);
  return mirrors.map((mirror) => ({
    ...mirror,
    columns: mirror.columns.map((column) => {
      // Of a key it must be certain that equal values have one text: it stays as its events write it.
      const type = mirror.key.includes(column.name) ? undefined : held.get(column.extensionType ?? '');
      return { ...column, type: type ?? typeOf(column.type) };
    }),
  }));
}

/** The extensions' types, named as their extension, that columns of this server may have: as SQL, by name. Before Postgres 16 ltree refuses labels with a hyphen. */
async function extensionTypes(database: Database): Promise<ReadonlyMap<string, string>> {
  const rows = await queryText(
    database,
    `SELECT t.typname, format_type(t.oid, -1) FROM pg_extension x
       JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e' AND d.classid = 'pg_type'::regclass
       JOIN pg_type t ON t.oid = d.objid AND t.typname = x.extname
      WHERE has_type_privilege(t.oid, 'USAGE') AND has_schema_privilege(t.typnamespace, 'USAGE')
        AND (t.typname <> 'ltree' OR current_setting('server_version_num')::int >= 160000)`,
  );
  return new Map(rows.map((row) => [text(row, 0), text(row, 1)]));
}
