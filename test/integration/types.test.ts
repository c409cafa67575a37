import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { stringifyLossless, unavailableValue } from '#change-events/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { testRegistryConfig } from '#test/support/registry.ts';
import { uniqueName } from '#test/support/stack.ts';
import { strictCompiler } from '#test/support/strict-compiler.ts';
import { assertCaught, decodedEvents, operationsOf, typeErrors } from '#test/support/typed-events.ts';
import { typeSamples } from '#test/support/value-samples.ts';
import { makeTypes, type TypesRequest } from '#types/generate.ts';

const compiler = await strictCompiler();
after(() => compiler[Symbol.asyncDispose]());

const depth = Math.max(...typeSamples.map(({ values }) => values.length));

/** Beside the types of all samples: what is odd. */
const odd: readonly (readonly [type: string, values: readonly string[]])[] = [
  ['label', ["'a,b'", `'it''s "so"'`, "'plain'"]],
  ['label[]', ["'{plain}'", `'{"a,b"}'`]],
  ['positive[]', ["'{1,2}'"]],
  ['pair', ["ROW(1, 'x')"]],
  ['point', ["'(1.5,-2)'"]],
  ['int4range', ["'[1,5)'"]],
  ['pg_lsn', ["'16/B374D848'"]],
  ['text[][]', ["'{{a},{b}}'"]],
  ['jsonb[]', [`'{"{\\"a\\": 1}"}'`]],
  ['oid', ['4294967295']],
];

/** @param virtual also a column that no log has */
async function createZoo(database: LegacyDatabase, virtual: boolean): Promise<void> {
  const columns = [...typeSamples.map(({ type }) => type), ...odd.map(([type]) => type)];
  await database.query(`
    CREATE TYPE mood AS ENUM ('happy', 'so so');
    CREATE TYPE label AS ENUM ('plain', 'a,b', 'it''s "so"');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE TABLE zoo (id bigint, code uuid DEFAULT gen_random_uuid(), large text, secret text, hidden text, "größe 😀" text, "it's" int NOT NULL DEFAULT 7,
      ${columns.map((type, index) => `c${index} ${type}, n${index} ${type} NOT NULL`).join(', ')},
      twice int GENERATED ALWAYS AS ("it's" * 2) STORED, ${virtual ? `next int GENERATED ALWAYS AS ("it's" + 1) VIRTUAL,` : ''} updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, code));
    ALTER TABLE zoo ALTER large SET STORAGE EXTERNAL;
    GRANT SELECT ON zoo TO cdc_poller;`);
}

function at(values: readonly string[], row: number): string {
  return values[row % values.length] ?? 'NULL';
}

/** Rows of all samples, and one in which what may be null is. */
async function insertZoo(database: LegacyDatabase, first: number): Promise<void> {
  const samples = [...typeSamples.map(({ values }) => values), ...odd.map(([, values]) => values)];
  for (let row = 0; row <= depth; row += 1) {
    const columns = samples.flatMap((values, index): [string, string][] => [
      [`c${index}`, row === depth ? 'NULL' : at(values, row)],
      [`n${index}`, at(values, row)],
    ]);
    await database.query(`INSERT INTO zoo (id, large, secret, hidden, ${columns.map(([name]) => name).join(', ')})
      VALUES (${first + row}, repeat('large ', 2000), 'secret', 'hidden', ${columns.map(([, value]) => value).join(', ')})`);
  }
}

const changed = ['update', 'delete', 'truncate'] as const;

for (const [format, identity] of [
  ['json', 'DEFAULT'],
  ['avro', 'FULL'],
] as const) {
  test(`every value of every type of Postgres, from both strategies as ${format} and with REPLICA IDENTITY ${identity}, is of its declared type; a type that says less is caught`, async () => {
    const kafka = await testKafka();
    const schemaRegistry = await testRegistryConfig();
    await using database = await createLegacyDatabase({ empty: true });
    await createZoo(database, identity === 'DEFAULT');
    await insertZoo(database, 0);
    const name = uniqueName('types');
    const config = await testPipelineConfig(database, {
      name,
      format,
      maskSecret: 'a secret of the test, long enough',
      tables: [{ table: 'public.zoo', excludeColumns: ['hidden'], mask: { secret: 'hash' } }],
    });
    await using connector = await startTestConnector({
      database,
      tables: ['public.zoo'],
      file: format === 'json' ? 'legacy-orders.json' : 'legacy-orders-avro.json',
      overrides: { 'column.exclude.list': String.raw`public\.zoo\.hidden` },
    });
    await using poller = startTestPoller(config);
    await connector.streaming();
    await untilPublished(kafka, config, database);
    await database.query(`ALTER TABLE zoo REPLICA IDENTITY ${identity}`);
    await insertZoo(database, 100);
    await untilPublished(kafka, config, database);
    await poller.stop();
    const request: TypesRequest = {
      config,
      connectors: [{ name: connector.name, config: connector.config }],
      tables: [],
      from: 'catalogue',
      strategy: 'query',
      signal: new AbortController().signal,
    };

    const query = await makeTypes(request);
    assert.deepEqual(query.notes, []);
    const polled = await decodedEvents(kafka, `${name}.public.zoo`, schemaRegistry);
    assert.equal(polled.length, 2 * (depth + 1));
    assert.deepEqual(await typeErrors(compiler, { query: query.text }, 'Zoo', polled), { query: [] });
    await assertCaught(compiler, query.text, lessThan(query.text), 'Zoo', polled);

    // Made before the truncate, and read after it.
    const log = await makeTypes({ ...request, strategy: 'log' });
    await database.query(`UPDATE zoo SET "it's" = 8 WHERE id = 100`);
    await database.query('DELETE FROM zoo WHERE id = 101');
    await database.query('TRUNCATE zoo');
    const topic = connector.topic('public.zoo');
    {
      await using observer = await observeTopics(kafka, [topic], uniqueName('group'));
      const wanted = 2 * (depth + 1) + changed.length + 1;
      await observer.until(
        () => observer.messages.length >= wanted,
        () => `${observer.messages.length} of ${wanted} messages in ${topic}`,
      );
    }
    const logged = await decodedEvents(kafka, topic, schemaRegistry);
    const leavesAlone = logged.some(({ value }) => stringifyLossless(value).includes(`"large":"${unavailableValue}"`));
    assert.equal(leavesAlone, identity === 'DEFAULT');
    assert.equal(log.text.includes("It may be in: 'large',"), identity === 'DEFAULT');
    assert.deepEqual(operationsOf(logged), ['c', 'd', 'r', 't', 'u']);
    assert.deepEqual(await typeErrors(compiler, { log: log.text }, 'Zoo', logged), { log: [] });
    await assertCaught(compiler, log.text, lessOfTheLog(log.text, identity), 'Zoo', logged);
  });
}

/** Files that say less than what events have. */
function lessThan(text: string): Readonly<Record<string, string>> {
  return {
    'a bigint is a number': text.replace('number | bigint;', 'number;'),
    'a nullable column is never null': text.replace(/(readonly c0: number) \| null/, '$1'),
    'a float is always a number': text.replace(/ \| 'NaN' \| 'Infinity' \| '-Infinity'/, ''),
    'an enum has fewer labels': text.replace(" | 'a,b'", ''),
    'items are never null': text.replace('readonly (number | null)[]', 'readonly number[]'),
    'a column is missing': text.replace(/ {2}readonly secret: .*\n/, ''),
    'a column that is left out is there': text.replace(/( {2}readonly secret: .*\n)/, '$1  readonly hidden: string;\n'),
    'a query sees creates only': text.replaceAll("readonly op: 'read'", "readonly op: 'create'"),
  };
}

function lessOfTheLog(text: string, identity: 'DEFAULT' | 'FULL'): Readonly<Record<string, string>> {
  const before = identity === 'FULL' ? 'ZooRow' : 'ZooKey';
  return {
    'a delete has nothing before': text.replaceAll(
      `readonly before: ${before}; readonly after: null`,
      'readonly before: null; readonly after: null',
    ),
    'a truncate has a key': text.replace(/(op: 'truncate'; readonly key:) null/, '$1 ZooKey'),
    ...(identity === 'FULL' ? {} : { 'a virtual column is always there': text.replace('readonly next?:', 'readonly next:') }),
    'an update has something else before':
      identity === 'FULL'
        ? text.replace('readonly before: ZooRow | null', 'readonly before: null')
        : text.replace(/(op: 'update'.*? readonly before:) null/, '$1 ZooRow'),
    'a point is a text': text.replace(/(Debezium writes it \*\/\n.*): Json;/, '$1: string;'),
  };
}
