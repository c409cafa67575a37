import { randomBytes } from 'node:crypto';
import { type Client, DatabaseError, escapeIdentifier, type ClientConfig } from 'pg';
import { CdcError } from '#pipeline/index.ts';
import { connected, qualified, queryText } from './database.ts';
import { lockWait } from './locks.ts';
import { carryOut, planFor, type MirrorsAsked, type MirrorsPlanned } from './mirrors/plan/make-mirrors.ts';
import type { DropRefusal } from './mirrors/plan/mirror-readers.ts';
import { ownSql, ownSqlFiles } from './own-sql.ts';
import type { ProjectionWarning } from './views/check-projections.ts';
import { makeViews } from './views/make-views.ts';
import { viewColumns, viewDifferences, type ViewStep } from './views/plan-views.ts';
import type { ProjectionFile } from './views/projection-file.ts';
import { fingerprintOf, storedFiles } from './views/stored-projections.ts';

/** What a model is to have. */
export type ModelAsked = MirrorsAsked & { readonly projections?: readonly ProjectionFile[] | undefined };

/** What was done to a model, or would be. */
export type ModelPlan = MirrorsPlanned & {
  /** Views that are made, empty. */
  readonly views: readonly ViewStep[];
  readonly warnings: readonly ProjectionWarning[];
};

export const nothing: ModelPlan = { steps: [], notes: [], refused: [], views: [], warnings: [] };

/** The advisory lock under which a model's schema is changed. */
export function lockName(schema: string): string {
  return `read-model migrate ${schema}`;
}

/**
 * Makes mirrors what is asked for, all or nothing, and, while nothing is applied, the views with them; gives what was done. A model that has rows has readers too: its
 * projection files are looked at when its tables are free again.
 *
 * @throws CdcError READ_MODEL_MIRROR_IN_USE when a mirror to drop is read; READ_MODEL_TABLES_INVALID, READ_MODEL_PROJECTION_INVALID
 */
export async function makeModel(client: Client, schema: string, asked: ModelAsked): Promise<ModelPlan> {
  await client.query(`BEGIN; SET LOCAL search_path = ${escapeIdentifier(schema)}; SET LOCAL lock_timeout = ${lockWait.readersMs}`);
  try {
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [lockName(schema)]);
    const plan = await planFor(client, asked);
    requireNoneRefused(plan.refused);
    await carryOut(client, plan);
    const [row] = await queryText(client, 'SELECT EXISTS (SELECT FROM applied_offsets)');
    const isEmpty = row?.[0] === 'f';
    if (!isEmpty) await client.query(`COMMIT; BEGIN; SET LOCAL search_path = ${escapeIdentifier(schema)}`);
    const views = asked.projections === undefined ? null : await makeViews(client, asked.projections);
    await client.query('COMMIT');
    return {
      steps: plan.steps,
      refused: [],
      notes: views?.differ === true ? [...plan.notes, viewsDiffer(schema)] : plan.notes,
      views: views?.made ?? [],
      warnings: views?.warnings ?? [],
    };
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    if (error instanceof DatabaseError && error.code === '42P07')
      throw new CdcError('READ_MODEL_TABLES_INVALID', `schema ${schema} has one already: ${error.message}`, {
        remedy: 'Give the mirror another name (readModel.models.<model>.tables[].name), or rename what is there.',
        cause: error,
      });
    throw error;
  }
}

/** @throws CdcError READ_MODEL_MIRROR_IN_USE */
function requireNoneRefused(refused: readonly DropRefusal[]): void {
  if (refused.length === 0) return;
  throw new CdcError('READ_MODEL_MIRROR_IN_USE', refused.map(({ mirror, why }) => `${mirror} cannot be dropped: ${why}`).join('\n'), {
    remedy: refused.map(({ remedy }) => remedy).join('\n'),
  });
}

function viewsDiffer(schema: string): string {
  return `the projection files are not those that the views of ${schema} were made by, which are kept as they are. To bring the files in: cdc read-model rebuild --model ${schema} --switch`;
}

/**
 * What `cdc read-model migrate` would do to mirrors and views. It locks no table of the model: projections that are not those of its views are tried on empty mirrors, in a
 * schema that is rolled back.
 *
 * @throws CdcError READ_DB_UNREACHABLE, READ_MODEL_PROJECTION_INVALID
 */
export async function planMigration(config: ClientConfig, schema: string, asked: ModelAsked): Promise<ModelPlan> {
  const client = await connected(config);
  try {
    const [found] = await queryText(client, 'SELECT to_regclass($1)', [qualified(schema, 'model_projections')]);
    if (found?.[0] === null) return await planInScratch(client, asked);
    await client.query(`BEGIN READ ONLY; SET LOCAL search_path = ${escapeIdentifier(schema)}`);
    const plan = await planFor(client, asked);
    const [row] = await queryText(client, 'SELECT projections, EXISTS (SELECT FROM applied_offsets) FROM model_version');
    const stored = await storedFiles(client, schema);
    const columns = await viewColumns(
      client,
      stored.map(({ name }) => name),
    );
    await client.query('COMMIT');
    if (asked.projections === undefined || row?.[0] === fingerprintOf(asked.projections)) return { ...plan, views: [], warnings: [] };
    const { views, warnings } = await planInScratch(client, asked);
    // Only while nothing is applied does migrate make views itself.
    if (row?.[1] === 'f') return { ...plan, views, warnings };
    const differ = viewDifferences({ stored, columns }, asked.projections, views);
    return { ...plan, notes: [...plan.notes, ...differ, viewsDiffer(schema)], views: [], warnings };
  } finally {
    await client.end();
  }
}

/** The plan for a model that is not there yet. */
async function planInScratch(client: Client, asked: ModelAsked): Promise<ModelPlan> {
  const scratch = `cdc_plan_${randomBytes(6).toString('hex')}`;
  await client.query(`BEGIN; CREATE SCHEMA ${scratch}; SET LOCAL search_path = ${scratch}`);
  try {
    for (const file of await ownSqlFiles()) await client.query(await ownSql(file));
    await client.query('INSERT INTO model_version (version, projections, views_filled) VALUES (1, $1, true)', [fingerprintOf([])]);
    const plan = await planFor(client, asked);
    await carryOut(client, plan);
    const { made, warnings } = await makeViews(client, asked.projections ?? []);
    return { ...plan, views: made, warnings };
  } finally {
    await client.query('ROLLBACK');
  }
}
