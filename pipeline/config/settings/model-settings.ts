import * as z from 'zod';
import { canonicalTableName, isTablePattern, tableNameForm } from '../../table-name.ts';
import { int, name } from './plain-settings.ts';

const tableName = z.string().regex(tableNameForm, 'expected schema.table').transform(canonicalTableName);

const mirrorTable = z.strictObject({
  table: tableName.describe('schema.table as it is captured, or a pattern with * or ? (public.*).'),
  exclude: z.array(tableName).optional().describe('For a pattern: tables or patterns to leave out.'),
  name: name.optional().describe('Name of the mirror. Default: that of the table. Not for a pattern.'),
  columns: z
    .array(name)
    .min(1)
    .optional()
    .describe('Columns of the mirror. Must contain the key. Default: all that are captured. Not for a pattern.'),
  deletes: z
    .enum(['remove', 'mark'])
    .default('remove')
    .describe('A row that is deleted at the source. remove: delete it. mark: keep it, with the time of the delete in _deleted_at.'),
  history: z
    .stringbool()
    .or(z.boolean())
    .default(false)
    .describe('Also keep every version of each row in <name>_history: what happened, when, in which transaction.'),
});

const shorthand = tableName.transform((table) => mirrorTable.parse({ table }));

/** A pattern means many tables: one name or one list of columns is not for all of them. */
function checkMirror(entry: z.output<typeof mirrorTable>, context: z.RefinementCtx): void {
  const isPattern = isTablePattern(entry.table);
  for (const setting of ['name', 'columns'] as const)
    if (isPattern && entry[setting] !== undefined)
      context.addIssue({ code: 'custom', path: [setting], message: 'belongs to one table, not to a pattern' });
  if (!isPattern && entry.exclude !== undefined)
    context.addIssue({ code: 'custom', path: ['exclude'], message: 'belongs to a pattern: table has no * or ?' });
}

/** What pipeline.yaml says of one read model. */
export const model = z.strictObject({
  topicPrefix: name.describe('Prefix of the topics that the model reads: that of one strategy.'),
  groupId: name.describe('Consumer group of the model.'),
  tables: z
    .array(shorthand.or(mirrorTable.superRefine(checkMirror)))
    .min(1)
    .optional()
    .describe('The mirrors of the model: tables and patterns of what is captured under its topicPrefix. Default: all of it.'),
  projections: z
    .array(name)
    .optional()
    .describe(
      'SQL files of the views of the model: paths relative to pipeline.yaml, or patterns with *. Default: projections/*.sql. An empty list: none.',
    ),
  onPoison: z
    .enum(['park', 'stop'])
    .default('park')
    .describe('An event that cannot be applied. park: park it with the later events of its key. stop: stop the model before it.'),
  staleAfterMs: int(1).default(30_000).describe('The status reports the model as stale if it is further behind the source than this.'),
  clockAheadMs: int(0)
    .default(0)
    .describe('How far the clock of the source is ahead, if it cannot be corrected. Heartbeats count as that much earlier.'),
  onSchemaChange: z
    .enum(['stop-table', 'park'])
    .default('stop-table')
    .describe('A value that does not fit the type of its mirror column. stop-table: halt that table only. park: park the event.'),
  ignoreColumns: z.array(name).default([]).describe('Source columns that the mirrors leave out, as schema.table.column.'),
  parkedMax: int(1).default(10_000).describe('Most parked events. Beyond it the partition halts.'),
  consistency: z
    .enum(['row', 'transaction'])
    .default('row')
    .describe(
      'transaction: all changes of a source transaction become visible at once. Needs the transaction topic of a log-based connector.',
    ),
  transactionBufferMb: int(1).default(64).describe('With consistency: transaction: memory for events of incomplete transactions, in MiB.'),
});

export type MirrorTableConfig = z.output<typeof mirrorTable>;
