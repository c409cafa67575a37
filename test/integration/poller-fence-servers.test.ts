import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { findHolder } from '#cdc-poller/metrics/held-back-by.ts';
import { runPoller } from '#cdc-poller/index.ts';
import { CdcError, pipelineSchema, silentLogger } from '#pipeline/index.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { startOwnPostgres, type OwnPostgres } from '#test/support/own-postgres.ts';
import { readPublished, versionsOf } from '#test/support/published.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { rawText } from '#test/support/raw-text.ts';

/** Polls a server's table to its end under one poller name; the code of what ended it, or `done`. */
async function poll(name: string, { host, port }: OwnPostgres): Promise<string> {
  const config = pipelineSchema.parse({
    legacyDb: { host, port, database: 'postgres', roles: (await testStack()).roles },
    kafka: await testKafkaConfig(),
    poller: { name, topicPrefix: name, tables: [{ table: 'public.things' }] },
  });
  try {
    await runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true });
    return 'done';
  } catch (error) {
    if (!(error instanceof CdcError)) throw error;
    assert.ok(error.remedy.length > 10);
    return `${error.code} ${error.message}`;
  }
}

const schema = `
  CREATE TABLE things (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT now());
  INSERT INTO things (value) VALUES ('one'), ('two');
  GRANT SELECT ON things TO cdc_poller`;

test('a standby, a promoted copy and another server are refused by name; the primary goes on from its position', async () => {
  const name = uniqueName('servers');
  await using primary = await startOwnPostgres();
  await primary.run(schema);
  assert.equal(await poll(name, primary), 'done');
  await primary.stop();
  await using copied = await primary.copy();
  await copied.start({}, { standby: true });
  assert.match(await poll(name, copied), /^SOURCE_IS_STANDBY 127\.0\.0\.1:\d+ is a standby/);
  await copied.run('SELECT pg_promote(true, 30)');
  assert.match(await poll(name, copied), /^SOURCE_CHANGED .*public\.things.*timeline 1; the server is .*timeline 2$/);
  await primary.start();
  await primary.run("INSERT INTO things (value) VALUES ('three')");
  assert.equal(await poll(name, primary), 'done');
  await using other = await startOwnPostgres();
  await other.run(schema);
  assert.match(
    await poll(name, other),
    /^SOURCE_CHANGED .*system identifier \d+, timeline 1; the server is system identifier \d+, timeline 1$/,
  );
  const versions = versionsOf(await readPublished(await testKafka(), `${name}.public.things`));
  assert.equal(versions.length, 3);
  assert.equal(new Set(versions).size, 3);
});

test('transactions that began after those the floor first waited for are named as its holders: a running one, then a prepared one', async () => {
  await using server = await startOwnPostgres({ max_prepared_transactions: '2' });
  await server.run(`${schema}; GRANT ALL ON things, things_id_seq TO PUBLIC`);
  const { host, port } = server;
  const { application, poller: pollerRole } = (await testStack()).roles;
  const connect = async (role: typeof application, application_name: string): Promise<Client> => {
    const client = new Client({ host, port, ...role, database: 'postgres', application_name });
    await client.connect();
    return client;
  };
  const [old, young, poller] = [
    await connect(application, 'the old application'),
    await connect(application, 'a younger one'),
    await connect(pollerRole, 'poller'),
  ];
  try {
    const holder = (): ReturnType<typeof findHolder> =>
      findHolder(async (text, values = []) => {
        const { rows } = await poller.query<(string | null)[]>({ text, values: [...values], rowMode: 'array', types: rawText });
        return rows;
      }, new Set());
    assert.equal(await holder(), null);
    await old.query("BEGIN; INSERT INTO things (value) VALUES ('old')");
    await young.query("BEGIN; INSERT INTO things (value) VALUES ('young')");
    const running = await holder();
    assert.deepEqual([running?.application, running?.user, running?.prepared], ['the old application', application.user, null]);
    await old.query("PREPARE TRANSACTION 'left over'");
    const prepared = await holder();
    assert.deepEqual(
      [prepared?.pid, prepared?.application, prepared?.user, prepared?.prepared],
      [null, null, application.user, 'left over'],
    );
    await old.query("COMMIT PREPARED 'left over'");
    assert.equal((await holder())?.application, 'a younger one');
    await young.query('COMMIT');
    assert.equal(await holder(), null);
  } finally {
    await Promise.all([old.end(), young.end(), poller.end()]);
  }
});
