import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runPoller } from '#cdc-poller/index.ts';
import { readStoredTables } from '#cdc-poller/position/position-topic.ts';
import { examine } from '#doctor/examine.ts';
import type { Finding } from '#doctor/finding.ts';
import { judgeOver, openAsPoller } from '#doctor/poller-judge.ts';
import { doctorRequest } from '#doctor/request.ts';
import { CdcError, pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { startOwnPostgres, type OwnPostgres } from '#test/support/own-postgres.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

/** A position that the source, or the table, is not the one of any more: doctor finds it with the code and the remedy that the poller's start has. */

async function configFor(name: string, { host, port }: OwnPostgres, entry: object = {}): Promise<PipelineConfig> {
  return pipelineSchema.parse({
    legacyDb: { host, port, database: 'postgres', roles: (await testStack()).roles },
    kafka: await testKafkaConfig(),
    poller: { name, topicPrefix: name, tables: [{ table: 'public.things', ...entry }] },
  });
}

const once = (config: PipelineConfig): Promise<void> =>
  runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true });

async function found(config: PipelineConfig): Promise<readonly Finding[]> {
  const { findings } = await examine(await doctorRequest(config, '/', ['query']));
  return findings.filter(({ severity, code }) => severity === 'error' || code === 'PROBE_REFUSED');
}

/** The one finding is the start's error. */
async function assertFound(config: PipelineConfig, wanted: RegExp): Promise<void> {
  const findings = await found(config);
  const error: unknown = await once(config).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof CdcError, String(error));
  assert.match(`${error.code} ${error.message}`, wanted);
  assert.deepEqual(
    findings.map(({ code, subject, cause, remedy }) => [code, subject.table, cause.toLowerCase(), remedy]),
    [[error.code, 'public.things', `${error.message}.`.toLowerCase(), error.remedy]],
  );
}

const schema = `
  CREATE TABLE things (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX ON things (updated_at, id);
  INSERT INTO things (value) VALUES ('one'), ('two');
  GRANT SELECT ON things TO cdc_poller`;

/** Each row in a transaction of its own. */
function inserts(rows: number): string {
  return `DO $$ BEGIN FOR i IN 1..${rows} LOOP INSERT INTO things (value) VALUES (i); COMMIT; END LOOP; END $$`;
}

test('a backup that was put back, a promoted copy and another server: SOURCE_CHANGED by doctor as by the start', async () => {
  const name = uniqueName('positions');
  await using server = await startOwnPostgres();
  await server.run(schema);
  const config = await configFor(name, server);
  assert.deepEqual(await found(config), []);
  await once(config);
  assert.deepEqual(await found(config), []);
  await server.stop();
  await using backup = await server.copy();
  await using promoted = await server.copy();
  await server.start();
  await server.run(inserts(300));
  await once(config);
  assert.deepEqual(await found(config), []);

  await backup.start();
  await backup.run(inserts(80));
  const restored = await configFor(name, backup);
  await assertFound(restored, /^SOURCE_CHANGED .* of the server's log, which has gone back/);
  const filler = 'CREATE TABLE filler AS SELECT repeat(md5(i::text), 20) AS text FROM generate_series(1, 20000) AS i';
  await backup.run(filler);
  await assertFound(restored, /^SOURCE_CHANGED .*transactions up to \d+, and the next one that the server begins is \d+/);
  await backup.run(inserts(320));
  await assertFound(restored, /^SOURCE_CHANGED the server's history is not the one that the position of table public\.things/);

  await promoted.start({}, { standby: true });
  await promoted.run('SELECT pg_promote(true, 30)');
  await assertFound(await configFor(name, promoted), /^SOURCE_CHANGED .*timeline 1; the server is .*timeline 2$/);

  await using other = await startOwnPostgres();
  await other.run(schema);
  await assertFound(
    await configFor(name, other),
    /^SOURCE_CHANGED .*system identifier \d+, timeline 1; the server is system identifier \d+/,
  );
  // Without a position, any server will do.
  assert.deepEqual(await found(await configFor(uniqueName('positions'), other)), []);
});

test('a table that is to be polled by another column than its position: TABLE_CHANGED by doctor as by the start', async () => {
  const name = uniqueName('positions');
  await using server = await startOwnPostgres();
  await server.run(schema);
  await once(await configFor(name, server));
  await assertFound(
    await configFor(name, server, { mode: 'incrementing' }),
    /^TABLE_CHANGED the position of table public\.things was made with capture by time/,
  );
});

test('what a poller publishes while doctor looks is not ahead of the server', async () => {
  const name = uniqueName('positions');
  await using server = await startOwnPostgres();
  await server.run(schema);
  const config = await configFor(name, server);
  const [table] = config.poller?.tables ?? [];
  assert.ok(table);
  await using judge = judgeOver(await openAsPoller(config.legacyDb));
  assert.deepEqual((await judge.judge(table)).findings, []);
  await server.run('CREATE TABLE filler AS SELECT repeat(md5(i::text), 20) AS text FROM generate_series(1, 20000) AS i');
  await server.run("INSERT INTO things (value) VALUES ('three')");
  await once(config);
  const stored = (await readStoredTables(await testKafka(), name, AbortSignal.timeout(60_000))).get(table.table);
  assert.ok(stored?.head);
  assert.equal(await judge.position(table, stored.head.position), null);
});
