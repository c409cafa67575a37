import { createHash } from 'node:crypto';
import * as z from 'zod';
import { CdcError } from '#pipeline/index.ts';
import { qualified, queryText, text, type Database } from '../database.ts';
import { readProjections, type ProjectionFile } from './projection-file.ts';
import type { Projection } from './projection.ts';

/**
 * What a version's views were made by is stored with them. Whoever applies it keeps them by that, whatever the files say by now.
 */

const touch = z.union([z.strictObject({ sql: z.string(), joins: z.boolean() }), z.strictObject({ ownKey: z.array(z.number()) })]);

const definition = z.strictObject({
  name: z.string(),
  key: z.array(z.strictObject({ name: z.string(), type: z.string() })),
  reads: z.array(z.string()),
  touchedBy: z.record(z.string(), z.array(touch)),
  allKeys: z.string(),
  upkeep: z.array(z.string()),
  // Not there in what was stored before there was any.
  upkeepOfMany: z.array(z.string()).default([]),
  fill: z.string().nullable(),
  duplicate: z.strictObject({ ofKeys: z.string(), ofAll: z.string() }).nullable(),
  createTable: z.array(z.string()),
}) satisfies z.ZodType<Projection>;

/** Keeps what the views of the session's current schema are made by. */
export async function storeProjections(
  database: Database,
  files: readonly ProjectionFile[],
  projections: readonly Projection[],
): Promise<void> {
  await database.query('DELETE FROM model_projections');
  for (const projection of projections) {
    const file = files.find(({ name }) => name === projection.name);
    await database.query('INSERT INTO model_projections (name, file, source, definition) VALUES ($1, $2, $3, $4)', [
      projection.name,
      file?.file ?? '',
      file?.text ?? '',
      JSON.stringify(projection),
    ]);
  }
  await database.query('UPDATE model_version SET projections = $1', [fingerprintOf(files)]);
}

/** The files that a version's views were made by, as they were. */
export async function storedFiles(database: Database, schema: string): Promise<readonly ProjectionFile[]> {
  const rows = await queryText(database, `SELECT file, source FROM ${qualified(schema, 'model_projections')} ORDER BY name`);
  return readProjections(rows.map((row) => ({ file: text(row, 0), text: text(row, 1) })));
}

/** The projections that a version's views are kept by. */
export type LoadedProjections = {
  readonly projections: readonly Projection[];
  /** model_version.projections: who keeps views by others is refused. */
  readonly fingerprint: string;
};

/**
 * The projections of a version.
 *
 * @throws CdcError READ_MODEL_PROJECTIONS_CHANGED when its views were made by a program that kept none, or others
 */
export async function loadProjections(database: Database, schema: string): Promise<LoadedProjections> {
  const rows = await queryText(database, `SELECT definition FROM ${qualified(schema, 'model_projections')} ORDER BY name`);
  const [version] = await queryText(database, `SELECT projections, version FROM ${qualified(schema, 'model_version')}`);
  const parsed = z.array(definition).safeParse(rows.map((row) => JSON.parse(text(row, 0))));
  const fingerprint = fingerprintOf(await storedFiles(database, schema));
  if (!parsed.success || version?.[0] !== fingerprint)
    throw new CdcError(
      'READ_MODEL_PROJECTIONS_CHANGED',
      `the views of read model ${schema}, version ${version?.[1] ?? 'unknown'}, were made by another program, which does not say how`,
    );
  return { projections: parsed.data, fingerprint };
}

/** What files make of a view: their SQL and headers, white space and other comments apart. */
export function fingerprintOf(files: readonly ProjectionFile[]): string {
  const parts = files
    .map(({ name, text: source, key, touchedBy, indexes }) => [
      name,
      key?.text,
      touchedBy.map((header) => [header.mirror, header.text]),
      indexes.map((header) => header.text),
      source
        .split('\n')
        .filter((line) => !line.trimStart().startsWith('--'))
        .join(' '),
    ])
    .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify(parts).replaceAll(/(?:\\n|\s)+/g, ' '))
    .digest('hex')
    .slice(0, 16);
}
