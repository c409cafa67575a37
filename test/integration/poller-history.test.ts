import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runPoller } from '#cdc-poller/index.ts';
import { CdcError, pipelineSchema, silentLogger } from '#pipeline/index.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { startOwnPostgres, type OwnPostgres } from '#test/support/own-postgres.ts';
import { readPublished, versionsOf } from '#test/support/published.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

/** Polls a server's tables to their end under one poller name; `done`, or what ended it. */
async function poll(name: string, { host, port }: OwnPostgres, tables: readonly object[] = [{ table: 'public.things' }]): Promise<string> {
  const config = pipelineSchema.parse({
    legacyDb: { host, port, database: 'postgres', roles: (await testStack()).roles },
    kafka: await testKafkaConfig(),
    poller: { name, topicPrefix: name, tables },
  });
  try {
    await runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true });
    return 'done';
  } catch (error) {
    if (!(error instanceof CdcError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

const schema = `
  CREATE TABLE things (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT now());
  INSERT INTO things (value) VALUES ('one'), ('two');
  GRANT SELECT ON things TO cdc_poller`;

/** Each row in a transaction of its own. */
function inserts(rows: number): string {
  return `DO $$ BEGIN FOR i IN 1..${rows} LOOP INSERT INTO things (value) VALUES (i); COMMIT; END LOOP; END $$`;
}

/** A server whose data folder was copied before the last 300 rows were written and published, and the copy: not started. */
async function withBackup(name: string): Promise<{ readonly server: OwnPostgres; readonly backup: OwnPostgres } & AsyncDisposable> {
  const server = await startOwnPostgres();
  await server.run(schema);
  assert.equal(await poll(name, server), 'done');
  await server.stop();
  const backup = await server.copy();
  await server.start();
  await server.run(inserts(300));
  assert.equal(await poll(name, server), 'done');
  return {
    server,
    backup,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await backup[Symbol.asyncDispose]();
    },
  };
}

test('a backup that was put back and written to is refused: its transaction ids and its log are behind the position', async () => {
  const name = uniqueName('history');
  await using servers = await withBackup(name);
  await servers.server.stop();
  const { backup } = servers;
  await backup.start();
  await backup.run(inserts(80));
  assert.match(
    await poll(name, backup),
    /^SOURCE_CHANGED .*table public\.things is at [0-9A-F/]+ of the server's log, which has gone back/,
  );
  // Much of other things written: the log is past the position, the transaction ids are not.
  await backup.run('CREATE TABLE filler AS SELECT repeat(md5(i::text), 20) AS text FROM generate_series(1, 20000) AS i');
  assert.match(await poll(name, backup), /^SOURCE_CHANGED .*transactions up to \d+, and the next one that the server begins is \d+/);
});

test('a backup that was put back is refused by the rows that were published, when its ids and its log are past the position', async () => {
  const name = uniqueName('history');
  await using servers = await withBackup(name);
  await servers.server.stop();
  const { backup } = servers;
  await backup.start();
  // The sequence was put back too: the same ids are given to other rows, by transactions of the same numbers.
  await backup.run(inserts(400));
  await backup.run('CREATE TABLE filler AS SELECT repeat(md5(i::text), 20) AS text FROM generate_series(1, 20000) AS i');
  assert.match(await poll(name, backup), /^SOURCE_CHANGED the server's history is not the one that the position of table public\.things/);
});

test('a backup that was put back is refused by a row that is older than it was published', async () => {
  const name = uniqueName('history');
  await using origin = await startOwnPostgres();
  await origin.run(schema);
  assert.equal(await poll(name, origin), 'done');
  await origin.stop();
  await using older = await origin.copy();
  await origin.start();
  await origin.run("UPDATE things SET value = 'new', updated_at = now() WHERE id = 1");
  assert.equal(await poll(name, origin), 'done');
  await origin.stop();
  await older.start();
  await older.run('DO $$ BEGIN FOR i IN 1..50 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
  await older.run('CREATE TABLE filler AS SELECT repeat(md5(i::text), 20) AS text FROM generate_series(1, 20000) AS i');
  assert.match(await poll(name, older), /^SOURCE_CHANGED .*had written is as the earlier transaction \d+ left it/);
});

test('a server that was stopped, or has crashed, goes on from its position, whatever became of the rows that were published last', async () => {
  const name = uniqueName('history');
  await using server = await startOwnPostgres({ synchronous_commit: 'on' });
  await server.run(schema);
  await server.run(inserts(20));
  assert.equal(await poll(name, server), 'done');
  await server.run("UPDATE things SET value = 'again', updated_at = now() WHERE id > 15; DELETE FROM things WHERE id = 14");
  await server.crash();
  await server.start();
  assert.equal(await poll(name, server), 'done');
  await server.run('VACUUM FULL things');
  await server.run('VACUUM FREEZE things');
  await server.restart();
  await server.run('DELETE FROM things WHERE id > 18');
  await server.run("INSERT INTO things (id, value) VALUES (20, 'given again')");
  assert.equal(await poll(name, server), 'done');
  const versions = versionsOf(await readPublished(await testKafka(), `${name}.public.things`));
  assert.equal(versions.length, 22 + 7 + 1);
  assert.equal(new Set(versions).size, versions.length);
});
