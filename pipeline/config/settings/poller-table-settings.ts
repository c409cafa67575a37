import * as z from 'zod';
import { byName, flag, int, name } from './plain-settings.ts';
import { canonicalTableName, isTablePattern, tableNameForm } from '../../table-name.ts';
import { instant, timeZone } from './time-settings.ts';

/** How a table is polled: the settings of an entry of poller.tables, and those that it shares with the poller. */

/** A number above 0 and up to 1, or the text of one. */
const share = z.preprocess(
  (value) => (typeof value === 'string' && /^\d*\.?\d+$/.test(value.trim()) ? Number(value) : value),
  z.number('expected a number above 0, up to 1').gt(0).max(1),
);
const tableName = z.string().regex(tableNameForm, 'expected schema.table').transform(canonicalTableName);

/** How fast a poller, or one of its tables, may go. */
export const pace = {
  minIntervalMs: int(1).optional().describe('Makes the interval adaptive: the shortest interval, for a busy table.'),
  maxIntervalMs: int(1).optional().describe('Makes the interval adaptive: the longest interval, for an idle table.'),
  maxRowsPerSecond: int(1).optional().describe('Most rows read per second on average, loads included.'),
  dutyCycle: share.optional().describe('Largest share of time in which queries run, loads included.'),
};

export const onTooLarge = z.enum(['fail', 'skip', 'dead-letter']);
const onTopicReplaced = z
  .enum(['fail', 'load', 'ignore'])
  .default('fail')
  .describe(
    'If the topic was deleted and created again, earlier rows are missing from it. fail: the table waits and reports it. load: load the table again. ignore: go on without them.',
  );

/** What a masked column shows in place of its value. */
const mask = z.enum(['hash', 'null']).or(z.strictObject({ fixed: z.string().or(z.number()).or(z.boolean()) }));

export const sweep = z.strictObject({
  intervalMs: int(1).default(60_000).describe('Time from the end of one sweep to the start of the next.'),
  maxDeletes: int(1).default(1000).describe('If a sweep misses more keys than this, it publishes nothing and reports it.'),
  chunkKeys: int(1, 1_000_000).default(10_000).describe('Number of keys that one query compares.'),
  listKeys: int(1, 1_000_000)
    .default(200)
    .describe('If a range differs and has at most this many keys, the keys are listed. A longer range is halved.'),
  maxKeys: int(1).default(5_000_000).describe('Most published keys to keep in memory, at about 60 bytes each.'),
});

export const pollerTableSchema = z
  .strictObject({
    table: tableName.describe(
      'schema.table. Put a name with a dot, * or ? in double quotes: public."v1.orders". With * or ? outside quotes it is a pattern: all tables that match, including later ones.',
    ),
    exclude: z.array(tableName).optional().describe('For a pattern: tables or patterns to leave out.'),
    query: name
      .optional()
      .describe('A SELECT to poll instead of the table; table then only names the topic. It has no fence: see overlapMs. Needs key.'),
    mode: z
      .enum(['timestamp+incrementing', 'timestamp', 'incrementing', 'bulk'])
      .default('timestamp+incrementing')
      .describe('How new rows are found. docs/poller.md compares the modes.'),
    timestampColumn: name
      .or(z.array(name).min(1))
      .default('updated_at')
      .describe('Column that every insert and update sets. With several, the first that is not null counts.'),
    incrementingColumn: name.default('id').describe('Orders rows with equal timestamps. In mode incrementing: the id, which only grows.'),
    only: flag
      .default(false)
      .describe(
        'For a Postgres table that others inherit from: read its own rows only. Without it such a table is refused. List the child tables too.',
      ),
    key: z.array(name).min(1).optional().describe('Columns of the event key; must be unique and not null. Default: the primary key.'),
    timeZone: timeZone.optional().describe('Time zone in which the application writes a timestamp column without time zone.'),
    idsAscend: flag
      .default(false)
      .describe('Mode incrementing, where no sequence proves it: you declare that each id is higher than all ids drawn before it.'),
    keysAsWritten: flag
      .default(false)
      .describe('You declare that the application never rewrites a key in another form that counts as equal (a for A).'),
    startFrom: z
      .enum(['everything', 'now'])
      .or(instant)
      .or(z.string().regex(/^-?\d+$/, 'expected an id'))
      .or(z.int().transform(String))
      .default('everything')
      .describe('Where a table without a position starts: everything, now, a time (2026-01-31T00:00:00Z), or an id (mode incrementing).'),
    includeColumns: z.array(name).min(1).optional().describe('Publish these columns only. Others are not read.'),
    excludeColumns: z.array(name).min(1).optional().describe('Do not read or publish these columns.'),
    mask: byName(name, mask)
      .optional()
      .describe('For each column: hash (SHA-256 of salt and value), null, or {fixed: value}. Key columns cannot be masked.'),
    topic: name
      .regex(/^(?!\.{1,2}$)[\w.-]{1,249}$/, 'expected letters, digits, dot, dash or underscore')
      .optional()
      .describe('Topic name, instead of <topicPrefix>.<schema>.<table>.'),
    onTooLarge: onTooLarge.optional().describe('The onTooLarge of this table. Default: that of the poller.'),
    onTopicReplaced,
    onRewrite: z
      .enum(['rescan', 'ignore'])
      .optional()
      .describe(
        'After TRUNCATE or a rewrite of the table: rescan reads all of it once and publishes what is new. Default: rescan in mode incrementing, else ignore.',
      ),
    overlapMs: int(0)
      .default(60_000)
      .describe(
        'Where there is no fence (views, queries, MariaDB): how late a row may commit after its timestamp and still be seen, in ms.',
      ),
    overlapIds: int(0)
      .default(1000)
      .describe('Mode incrementing on MariaDB: how far below the highest id a late row may be and still be seen.'),
    pollIntervalMs: int(1).optional().describe('Fixed interval for this table, instead of the interval of the poller.'),
    sweep: sweep.optional().describe('Find deletes by comparing keys at intervals. The primary key must be one integer or uuid column.'),
    ...pace,
  })
  .superRefine(checkTable);

type WrittenTable = {
  readonly table: string;
  readonly mode: string;
  readonly query?: string | undefined;
  readonly startFrom: string;
  readonly pollIntervalMs?: number | undefined;
  readonly [setting: string]: unknown;
};

/** Settings that contradict one another. */
function checkTable(table: WrittenTable, context: z.RefinementCtx): void {
  const refuse = (setting: string, message: string): void => context.addIssue({ code: 'custom', path: [setting], message });
  const isPattern = isTablePattern(table.table);
  const { mode, startFrom } = table;
  if (isPattern && table.query !== undefined) refuse('query', 'a query belongs to one table, not to a pattern');
  if (isPattern && table['topic'] !== undefined) refuse('topic', 'tables of a pattern need topics of their own: leave it out');
  if (!isPattern && table['exclude'] !== undefined) refuse('exclude', 'belongs to a pattern: table has no * or ?');
  if (mode === 'bulk' && table.pollIntervalMs === undefined) {
    refuse('pollIntervalMs', 'is needed in mode bulk, which publishes the whole table every time');
  }
  if (mode === 'incrementing' && table.query !== undefined) refuse('mode', 'a query has no fence on ids: expected timestamp or bulk');
  const isId = /^-?\d+$/.test(startFrom);
  if (isId && mode !== 'incrementing') refuse('startFrom', 'an id belongs to mode incrementing');
  if (!isId && mode === 'incrementing' && !/^[en]/.test(startFrom)) refuse('startFrom', 'mode incrementing begins at an id, not at a time');
  if (mode === 'bulk' && startFrom !== 'everything') refuse('startFrom', 'mode bulk reads everything');
  if (table['includeColumns'] !== undefined && table['excludeColumns'] !== undefined) {
    refuse('excludeColumns', 'expected includeColumns or excludeColumns, not both');
  }
}
