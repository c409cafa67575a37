import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectKafka, type Kafka } from '#kafka/index.ts';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { joinUntilMoreTopics } from '#read-model/consume/membership.ts';
import type { RebuildProgress } from '#read-model/rebuild/catch-up.ts';
import { rebuild } from '#read-model/rebuild/rebuild.ts';
import { groupsNamed } from '#test/support/group-holders.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { cdcReadModel } from '#test/support/terminal.ts';

/** What a rebuild leaves behind, and what users have made on a version of a model that is to be dropped. */

async function filled(model: ReadModelFixture, thenSwitch: boolean): Promise<void> {
  await rebuild({ config: model.config, model: 'model', logger: silentLogger, signal: AbortSignal.timeout(120_000) }, thenSwitch);
}

async function refusal(model: ReadModelFixture, flag: string): Promise<CdcError> {
  const error: unknown = await cdcReadModel(model.config, 'rebuild', flag).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CdcError, String(error));
  assert.equal(error.code, 'READ_MODEL_VERSION_IN_USE');
  return error;
}

/** Every kind of thing that a cascade takes, made on `version`, by the words that Postgres has for it. */
const made = (version: string): Readonly<Record<string, string>> => ({
  'view shop.totals': `CREATE VIEW shop.totals AS SELECT status, count(*) AS orders FROM ${version}.orders GROUP BY 1`,
  'view shop."of Totals"': `CREATE VIEW shop."of Totals" AS SELECT * FROM shop.totals`,
  'materialized view shop.kept': `CREATE MATERIALIZED VIEW shop.kept AS SELECT * FROM ${version}.customers`,
  'constraint notes_order_id_fkey on table shop.notes': `CREATE TABLE shop.notes (order_id bigint REFERENCES ${version}.orders)`,
  'function shop.names(%.customers)': `CREATE FUNCTION shop.names(${version}.customers) RETURNS text LANGUAGE sql AS 'SELECT $1.name'`,
  'column was of table shop.notes': `ALTER TABLE shop.notes ADD COLUMN was ${version}.products`,
  'function %.own()': `CREATE FUNCTION ${version}.own() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
  'default value for column number of table shop.notes': `ALTER TABLE shop.notes ADD COLUMN number int DEFAULT ${version}.own()`,
  'view %.inside': `CREATE VIEW ${version}.inside AS SELECT id FROM ${version}.orders`,
  'type %.mood': `CREATE TYPE ${version}.mood AS ENUM ('good')`,
});

test('what users have made on a version is named and kept; a drop by force takes it, and nothing else', { timeout: 300_000 }, async () => {
  await using model = await createReadModel();
  await filled(model, true);
  const version = 'model__v1';
  await model.read.query('CREATE SCHEMA shop');
  for (const sql of Object.values(made(version))) await model.read.query(sql);
  // Parts of the version's tables, and what does not depend on it.
  await model.read.query(`CREATE INDEX ON ${version}.orders (status); CREATE TABLE ${version}.more (id serial PRIMARY KEY, name text);
    CREATE VIEW shop.of_another AS SELECT count(*) AS orders FROM model.orders;
    CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touch BEFORE UPDATE ON ${version}.orders FOR EACH ROW EXECUTE FUNCTION shop.touch()`);
  const { message, remedy } = await refusal(model, '--drop-previous');
  const named = Object.keys(made(version))
    .map((name) => name.replace('%', version))
    .toSorted();
  assert.equal(message, `schema ${version} cannot be dropped without ${named.join(', ')}`);
  assert.match(remedy, /--force/);
  const names = async (): Promise<readonly string[]> =>
    (
      await model.read
        .query(`SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind IN ('r', 'v', 'm')
        UNION ALL SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'shop'::regnamespace ORDER BY 1`)
    ).map(({ name }) => name ?? '');
  assert.deepEqual(await names(), ['kept', 'names', 'notes', 'of Totals', 'of_another', 'totals', 'touch']);
  assert.match(await cdcReadModel(model.config, 'rebuild', '--drop-previous', '--force'), /dropped version 1/);
  assert.deepEqual(await names(), ['notes', 'of_another', 'touch']);
  assert.deepEqual(await model.read.query(`SELECT to_regnamespace('${version}') AS gone`), [{ gone: null }]);
});

test(
  'a version that is being filled is refused to be dropped in the same way; of several versions none is, when one is used',
  { timeout: 300_000 },
  async () => {
    await using model = await createReadModel();
    await filled(model, false);
    await model.read.query('CREATE VIEW public.early AS SELECT count(*) AS orders FROM model__v2.orders');
    assert.match((await refusal(model, '--abort')).message, /^schema model__v2 cannot be dropped without view public\.early$/);
    await filled(model, true);
    await filled(model, true);
    await model.read.query('CREATE OR REPLACE VIEW public.early AS SELECT count(*) AS orders FROM model__v2.orders');
    await refusal(model, '--drop-previous');
    assert.deepEqual(await model.read.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'model%' ORDER BY 1`), [
      { nspname: 'model' },
      { nspname: 'model__v1' },
      { nspname: 'model__v2' },
    ]);
    await model.read.query('CREATE OR REPLACE VIEW public.early AS SELECT count(*) AS orders FROM model.orders');
    assert.match(await cdcReadModel(model.config, 'rebuild', '--drop-previous'), /dropped version 1, 2/);
    assert.deepEqual(await model.read.query('SELECT orders FROM public.early'), [{ orders: '0' }]);
  },
);

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`a rebuild deletes its consumer groups, when it ends and when it is ended (${client})`, { timeout: 300_000 }, async () => {
    await using model = await createReadModel({ client });
    await filled(model, true);
    assert.deepEqual(await groupsNamed(model.groupId), []);
    const controller = new AbortController();
    const { signal } = controller;
    // It knows where partitions end when it has some: it is a member of its group then.
    const onProgress = ({ waitsFor }: RebuildProgress): void => {
      if (waitsFor !== 'the first partitions of its topics') controller.abort();
    };
    await assert.rejects(rebuild({ config: model.config, model: 'model', logger: silentLogger, signal, onProgress }, false), {
      name: 'AbortError',
    });
    assert.deepEqual(await groupsNamed(model.groupId), []);
  });
  test(`a join that is under way when a membership ends does not bring its group back (${client})`, { timeout: 300_000 }, async () => {
    await using model = await createReadModel({ client });
    const kafka = connectKafka(model.config.kafka, silentLogger);
    await using admin = await kafka.admin();
    const topics = [model.topic('orders')];
    const controller = new AbortController();
    const joins: Promise<unknown>[] = [];
    const endsWhileJoining: Kafka = {
      ...kafka,
      consumer(options) {
        const joined = kafka.consumer(options);
        joins.push(joined);
        controller.abort();
        return joined;
      },
    };
    const nothing = {
      onAssigned: () => undefined,
      onBatch: () => Promise.resolve(),
      onUnreadable: () => Promise.resolve(),
      onPassed: () => undefined,
    };
    const { groupId } = model;
    const membership = joinUntilMoreTopics(
      {
        name: 'model',
        groupId,
        topics,
        concurrency: 1,
        kafka: endsWhileJoining,
        admin,
        logger: silentLogger,
        reader: () => nothing,
        onJoined: () => undefined,
      },
      topics,
      controller.signal,
    );
    await assert.rejects(membership, { name: 'AbortError' });
    await admin.deleteGroup(groupId);
    await Promise.all(joins);
    assert.deepEqual(await groupsNamed(groupId), []);
  });
}
