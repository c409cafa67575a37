import assert from 'node:assert/strict';
import { capturedMirrors } from './captured-mirrors.ts';
import type { LegacyDatabase } from './legacy-database.ts';
import { eventually } from './read-database.ts';
import { createReadModel, type ReadModelFixtureOptions } from './read-model.ts';
import { typeSamples } from './value-samples.ts';

const depth = Math.max(...typeSamples.map(({ values }) => values.length));

/** One row a depth: each column's value of that depth, its first one again where it has fewer, and at last a row of nulls. */
export const sampleRows = [
  ...Array.from({ length: depth }, (_, at) => typeSamples.map(({ values }) => values[at % values.length] ?? 'NULL')),
  typeSamples.map(() => 'NULL'),
];

/** Inserts each sample once more, in rows that are named after the phase. */
export async function insertSamples(database: LegacyDatabase, phase: string): Promise<void> {
  const columns = typeSamples.map((_, index) => `c${index}`).join(', ');
  const inserts = sampleRows.map(
    (values, at) => `INSERT INTO samples (id, name, ${columns}) VALUES (DEFAULT, '${phase}-${at}', ${values.join(', ')});`,
  );
  await database.query(inserts.join('\n'));
}

/** The table `samples`: a column for every type and value of {@link typeSamples}. */
export async function createSamples(database: LegacyDatabase): Promise<void> {
  const columns = typeSamples.map(({ type }, index) => `c${index} ${type}`).join(', ');
  await database.query(`
    CREATE TYPE mood AS ENUM ('happy', 'so so');
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE TABLE samples (id bigserial PRIMARY KEY, name text NOT NULL, ${columns}, updated_at timestamptz NOT NULL DEFAULT now());
    GRANT SELECT ON samples TO cdc_poller;`);
}

/** By type, what a mirror cannot hold as the source has it, and why. */
export const lostByContract = {
  timetz: 'the contract has the time in UTC: another zone is lost',
  varbit: 'the contract has bytes, which do not say how many zeros led the bits',
};
export const lostByDebezium = { time: 'the end of the day is its beginning' };

const select = (schema: string): string =>
  `SELECT name, ${typeSamples.map((_, index) => `c${index}::text`).join(', ')} FROM ${schema}.samples ORDER BY name`;

/** Applies the topics of `prefix` to a mirror that is made from the source's catalogue: it must hold the source's rows, but for what the contract loses. */
export async function assertMirror(
  database: LegacyDatabase,
  prefix: string,
  lost: Readonly<Record<string, string>>,
  options: Pick<ReadModelFixtureOptions, 'schemaRegistry' | 'settings'> = {},
): Promise<void> {
  const mirrors = await capturedMirrors(database.config, ['public.samples']);
  await using model = await createReadModel({ prefix, topics: false, mirrors, ...options });
  await using running = await model.start();
  const mirror = await eventually(
    () => model.read.query(select('model')),
    (found) => found.length === 2 * sampleRows.length,
  ).catch((error: unknown) => assert.fail(`${String(error).slice(0, 200)}\n${model.log().slice(-3000)}`));
  const source = await database.query(select('public'));
  const wrong: unknown[] = [];
  const excused = new Set<string>();
  for (const [at, row] of mirror.entries()) {
    for (const [index, { type }] of typeSamples.entries()) {
      const [stored, meant] = [row[`c${index}`], source[at]?.[`c${index}`]];
      const family = type.replace(/\(.*/, '');
      if (stored === meant) continue;
      if (lost[family] === undefined) wrong.push({ row: row['name'], type, stored, meant });
      else excused.add(family);
    }
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual([...excused].toSorted(), Object.keys(lost).toSorted());
  void running;
}
