import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import getPort from 'get-port';
import { runPoller } from '#cdc-poller/index.ts';
import { pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { startOwnPostgres, type OwnPostgres } from '#test/support/own-postgres.ts';
import { startPgbouncer, whyNoPgbouncer } from '#test/support/pgbouncer.ts';
import { valuesOf } from '#test/support/poller-scene.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { readPublished } from '#test/support/published.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

let server: OwnPostgres;

before(async () => {
  server = await startOwnPostgres();
  await server.run(`
    CREATE SCHEMA app; CREATE SCHEMA evil; GRANT USAGE ON SCHEMA app, evil TO cdc_poller;
    CREATE TABLE app.things (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE INDEX ON app.things (updated_at, id);
    GRANT SELECT ON app.things TO cdc_poller;
    CREATE FUNCTION app.shout(text) RETURNS text LANGUAGE sql AS $$ SELECT upper($1) $$;`);
});

after(() => server[Symbol.asyncDispose]());

async function configOf(name: string, poller: object, legacyDb: object = {}): Promise<PipelineConfig> {
  const { host, port } = server;
  return pipelineSchema.parse({
    legacyDb: { host, port, database: 'postgres', roles: (await testStack()).roles, ...legacyDb },
    kafka: await testKafkaConfig(),
    poller: { name, topicPrefix: name, pollIntervalMs: 20, clockMarginMs: 100, ...poller },
  });
}

const once = (config: PipelineConfig): Promise<void> =>
  runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true });

async function valuesIn(topic: string): Promise<readonly string[]> {
  return valuesOf(await readPublished(await testKafka(), topic), 'value').toSorted();
}

const query = { table: 'app.shouted', query: 'SELECT id, shout(value) AS value, updated_at FROM things', key: ['id'], mode: 'timestamp' };

test('a search_path that puts other functions, operators and types before those of pg_catalog changes nothing; a query of the configuration finds its own names', async () => {
  const name = uniqueName('path');
  await server.run(`
    TRUNCATE app.things RESTART IDENTITY;
    CREATE FUNCTION evil.trunc(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0::numeric';
    CREATE FUNCTION evil.age(xid) RETURNS int LANGUAGE sql AS 'SELECT 0';
    CREATE FUNCTION evil.md5(text) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;
    CREATE FUNCTION evil.pg_snapshot_xmax(pg_snapshot) RETURNS xid8 LANGUAGE sql AS $$ SELECT '3'::xid8 $$;
    CREATE FUNCTION evil.concat_ws(text, oid, oid, bigint, oid) RETURNS text LANGUAGE sql AS $$ SELECT clock_timestamp()::text $$;
    CREATE FUNCTION evil.never(timestamptz, timestamptz) RETURNS bool LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR evil.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.never);
    CREATE OPERATOR evil.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.never);
    CREATE FUNCTION evil.unequal(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.unequal);
    CREATE TYPE evil.int8 AS ENUM ('none'); CREATE TYPE evil.timestamptz AS ENUM ('never');
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA evil TO PUBLIC; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA app TO PUBLIC;
    ALTER ROLE cdc_poller SET search_path = evil, pg_catalog, app;
    INSERT INTO app.things (value) VALUES ('one'), ('two'), ('three');`);
  try {
    const things = { table: 'app.things', sweep: { intervalMs: 50 } };
    const config = await configOf(name, { pageRows: 2, tables: [things, query] });
    await once(config);
    await server.run(
      "INSERT INTO app.things (value) VALUES ('four'); UPDATE app.things SET value = 'first', updated_at = clock_timestamp() WHERE id = 1",
    );
    await once(config);
    assert.deepEqual(await valuesIn(`${name}.app.things`), ['first', 'four', 'one', 'three', 'two']);
    assert.deepEqual(await valuesIn(`${name}.app.shouted`), ['FIRST', 'FOUR', 'ONE', 'THREE', 'TWO']);
    const port = await getPort();
    await using _ = startTestPoller(await configOf(name, { pageRows: 2, tables: [things], http: { port } }));
    const { sweep } = await pollerEndpoint(port, name).until('app.things', ({ sweep: swept }) => (swept?.sweeps ?? 0) > 1);
    assert.deepEqual([sweep?.lastOutcome, sweep?.deletesPublished], ['found', 0]);
    await server.run('DELETE FROM app.things WHERE id = 2');
    await pollerEndpoint(port, name).until('app.things', ({ sweep: swept }) => swept?.deletesPublished === 1);
  } finally {
    await server.run('ALTER ROLE cdc_poller RESET ALL');
  }
});

test('settings of a role do not end a session, limit its statements, or change what it reads', async () => {
  const name = uniqueName('settings');
  await server.run(`
    TRUNCATE app.things RESTART IDENTITY;
    ALTER ROLE cdc_poller SET idle_session_timeout = '300ms';
    ALTER ROLE cdc_poller SET transaction_timeout = '300ms';
    ALTER ROLE cdc_poller SET statement_timeout = '300ms';
    ALTER ROLE cdc_poller SET lock_timeout = '1ms';
    ALTER ROLE cdc_poller SET idle_in_transaction_session_timeout = '1ms';
    ALTER ROLE cdc_poller SET default_transaction_isolation = 'serializable';
    ALTER ROLE cdc_poller SET default_transaction_deferrable = on;
    ALTER ROLE cdc_poller SET row_security = off;
    ALTER ROLE cdc_poller SET "DateStyle" = 'German';
    ALTER ROLE cdc_poller SET "TimeZone" = 'Asia/Tokyo';
    ALTER ROLE cdc_poller SET quote_all_identifiers = on;
    ALTER ROLE cdc_poller SET standard_conforming_strings = off;
    ALTER ROLE cdc_poller SET array_nulls = off;
    ALTER ROLE cdc_poller SET client_encoding = 'LATIN1';
    ALTER ROLE cdc_poller SET search_path = app;
    INSERT INTO app.things (value) VALUES ('öne €');`);
  try {
    const port = await getPort();
    const slow = { ...query, query: 'SELECT t.id, t.value, t.updated_at FROM things t, (SELECT pg_sleep(0.5)) AS slept' };
    const config = await configOf(name, { pollIntervalMs: 1000, tables: [{ table: 'app.things' }, slow], http: { port } });
    await using _ = startTestPoller(config);
    const endpoint = pollerEndpoint(port, name);
    await endpoint.until('app.things', ({ polls }) => polls >= 3);
    await server.run("INSERT INTO app.things (value) VALUES ('two')");
    for (const table of ['app.things', 'app.shouted']) {
      const { errors } = await endpoint.until(table, ({ rowsPublished, errors: met }) => rowsPublished >= 2 || Object.keys(met).length > 0);
      assert.deepEqual(errors, {}, table);
      assert.deepEqual(await valuesIn(`${name}.${table}`), ['two', 'öne €']);
    }
  } finally {
    await server.run('ALTER ROLE cdc_poller RESET ALL');
  }
});

test(
  'a pooler between is refused by name, in transaction mode and in session mode; a session-mode one is used where the configuration says so',
  { skip: (await whyNoPgbouncer()) ?? false },
  async () => {
    const name = uniqueName('pooler');
    await server.run("TRUNCATE app.things RESTART IDENTITY; INSERT INTO app.things (value) VALUES ('one')");
    const { poller } = (await testStack()).roles;
    for (const mode of ['transaction', 'session'] as const) {
      await using pooler = await startPgbouncer(server, mode, poller);
      const { host, port } = pooler;
      const tables = [{ table: 'app.things' }, { ...query, query: 'SELECT * FROM app.things' }];
      await assert.rejects(once(await configOf(name, { tables }, { host, port })), {
        code: 'POOLER_BETWEEN',
        message: new RegExp(`at ${host}:${port}/postgres a connection pooler answers`),
        remedy: /legacyDb\.host and port at the Postgres server itself/,
      });
      if (mode === 'transaction') continue;
      const config = await configOf(name, { tables }, { host, port, pooler: 'session' });
      await once(config);
      await server.run("INSERT INTO app.things (value) VALUES ('two')");
      await once(config);
      assert.deepEqual(await valuesIn(`${name}.app.things`), ['one', 'two']);
    }
  },
);
