import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';
import { rawMember, rawMembers } from '#test/support/raw-json.ts';
import { uniqueName } from '#test/support/stack.ts';
import { typeSamples } from '#test/support/value-samples.ts';

const depth = Math.max(...typeSamples.map(({ values }) => values.length));

/** One row a depth: each column's value of that depth, its first one again where it has fewer, and at last a row of nulls. */
const rows = [
  ...Array.from({ length: depth }, (_, at) => typeSamples.map(({ values }) => values[at % values.length] ?? 'NULL')),
  typeSamples.map(() => 'NULL'),
];

function insert(phase: string): string {
  const columns = typeSamples.map((_, index) => `c${index}`).join(', ');
  return rows
    .map((values, at) => `INSERT INTO samples (id, name, ${columns}) VALUES (DEFAULT, '${phase}-${at}', ${values.join(', ')});`)
    .join('\n');
}

/** Raw text of `after` by row name. */
async function afterByName(kafka: Kafka, topic: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  await readToEnd(kafka, topic, ({ value }) => {
    const after = value === null ? undefined : rawMember(value.toString(), 'after');
    const name = after === undefined ? undefined : rawMember(after, 'name');
    if (after !== undefined && name !== undefined) found.set(name, after);
  });
  return found;
}

const utcOnly = 'the contract has the time in UTC: another zone is lost';
const leadingZeros = 'the contract has bytes, which do not tell how many zeros led the bits';

const select = (schema: string): string =>
  `SELECT name, ${typeSamples.map((_, index) => `c${index}::text`).join(', ')} FROM ${schema}.samples ORDER BY name`;

/** Applies the topics of `prefix` to a mirror of the same types: it must hold the source's rows, but for what the contract loses. */
async function assertMirror(database: LegacyDatabase, prefix: string, lost: Readonly<Record<string, string>>): Promise<void> {
  await using model = await createReadModel({ prefix, topics: false });
  await model.read.query(`
    CREATE TYPE model.mood AS ENUM ('happy', 'so so'); CREATE DOMAIN model.positive AS integer CHECK (VALUE > 0);
    CREATE TABLE model.samples (id bigint PRIMARY KEY, name text,
      ${typeSamples.map(({ type }, index) => `c${index} ${/^(?:mood|positive)$/.test(type) ? `model.${type}` : type}`).join(', ')}, updated_at timestamptz, _lsn bigint);
    INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('samples', 'public', 'samples')`);
  await using running = await model.start();
  const mirror = await eventually(
    () => model.read.query(select('model')),
    (found) => found.length === 2 * rows.length,
  );
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

test('every type and edge value: `after` is byte-equal under both strategies, loaded and streamed, and mirrors hold what the source holds', async () => {
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  const columns = typeSamples.map(({ type }, index) => `c${index} ${type}`).join(', ');
  await database.query(`
    CREATE TYPE mood AS ENUM ('happy', 'so so');
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE TABLE samples (id bigserial PRIMARY KEY, name text NOT NULL, ${columns}, updated_at timestamptz NOT NULL DEFAULT now());
    GRANT SELECT ON samples TO cdc_poller;`);
  await database.query(insert('loaded'));
  const name = uniqueName('parity');
  const config = await testPipelineConfig(database, { name, tables: [{ table: 'public.samples' }] });
  await using connector = await startTestConnector({ database, tables: ['public.samples'] });
  await using poller = startTestPoller(config);
  await connector.streaming();
  await untilPublished(kafka, config, database);
  await database.query(insert('streamed'));
  await untilPublished(kafka, config, database);
  const [logTopic, queryTopic] = [connector.topic('public.samples'), `${name}.public.samples`];
  {
    await using observer = await observeTopics(kafka, [logTopic], uniqueName('group'));
    await observer.until(
      () => observer.messages.length >= 2 * rows.length,
      () => `${observer.messages.length} of ${2 * rows.length} events in ${logTopic}`,
    );
  }
  const [log, query] = [await afterByName(kafka, logTopic), await afterByName(kafka, queryTopic)];
  assert.equal(log.size, 2 * rows.length);
  assert.deepEqual([...query.keys()].toSorted(), [...log.keys()].toSorted());
  const differences: string[] = [];
  let equal = 0;
  for (const [row, logAfter] of log) {
    const queryMembers = new Map(rawMembers(query.get(row) ?? '{}'));
    const logMembers = new Map(rawMembers(logAfter));
    assert.deepEqual([...queryMembers.keys()], [...logMembers.keys()], 'the columns and their order');
    for (const [index, { type, exceptions = {} }] of typeSamples.entries()) {
      const [ours, theirs] = [queryMembers.get(`c${index}`), logMembers.get(`c${index}`)];
      const sample = rows[Number(/\d+/.exec(row)?.[0])]?.[index] ?? '';
      if (ours === theirs) equal += 1;
      if (ours !== theirs && exceptions[sample] === undefined) differences.push(`${row} ${type} ${sample}: query ${ours}, log ${theirs}`);
    }
  }
  assert.deepEqual(differences, []);
  assert.ok(equal > 2 * rows.length * (typeSamples.length - 4));
  await assertMirror(database, name, { timetz: utcOnly, varbit: leadingZeros });
  await assertMirror(database, connector.prefix, { timetz: utcOnly, varbit: leadingZeros, time: 'the end of the day is its beginning' });
  await poller.stop();
});
