import { escapeIdentifier, type ClientBase } from 'pg';
import { queryText, text } from '../database.ts';
import { checkProjections, createProjection, type ProjectionWarning } from './check-projections.ts';
import { viewSteps, type ViewStep } from './plan-views.ts';
import type { ProjectionFile } from './projection-file.ts';
import { fingerprintOf, storeProjections } from './stored-projections.ts';

/** What came of a model's projection files. */
export type MadeViews = {
  /** Views that were made, empty. */
  readonly made: readonly ViewStep[];
  /** The views are made by other files, and hold rows: only a rebuild brings these in. */
  readonly differ: boolean;
  readonly warnings: readonly ProjectionWarning[];
};

/**
 * Makes the views of files in the session's current schema, within the caller's transaction, in place of those that other files made: only while nothing is
 * applied. A model that has rows keeps its views. Indexes that the views' upkeep needs are made with them: the mirrors are empty.
 *
 * @throws CdcError READ_MODEL_PROJECTION_INVALID with all problems of all files
 */
export async function makeViews(client: ClientBase, files: readonly ProjectionFile[]): Promise<MadeViews> {
  const [version] = await queryText(client, 'SELECT projections, EXISTS (SELECT FROM applied_offsets) FROM model_version');
  if (version?.[0] === fingerprintOf(files)) return { made: [], differ: false, warnings: [] };
  // Checked in any case: what is wrong with a file is said when it is written, not when it is rebuilt.
  const { projections, warnings } = await checkProjections(client, files);
  if (version?.[1] === 't') return { made: [], differ: true, warnings };
  for (const row of await queryText(client, 'SELECT name FROM model_projections'))
    await client.query(`DROP TABLE ${escapeIdentifier(text(row, 0))}`);
  for (const projection of projections) await createProjection(client, projection);
  for (const { sql } of warnings) if (sql !== undefined) await client.query(sql);
  await storeProjections(client, files, projections);
  const made = await viewSteps(client, files, projections, warnings);
  return { made, differ: false, warnings: warnings.filter(({ sql }) => sql === undefined) };
}
