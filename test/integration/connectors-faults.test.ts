import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeChangeEvent } from '#change-events/index.ts';
import { dropSlot } from '#connectors/index.ts';
import { doctorCommand } from '#doctor/index.ts';
import { waitFor } from '#stack/index.ts';
import { connectorsTerminal, terminal, type Terminal } from '#test/support/terminal.ts';
import { type TestConnector, startTestConnector } from '#test/support/connect.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { startOwnStack, type OwnStack } from '#test/support/own-stack.ts';
import { uniqueName } from '#test/support/stack.ts';

/** Servers of this file's own, because it kills them. */
let own: OwnStack;

before(async () => {
  own = await startOwnStack();
  // The support's helpers then use these servers.
  process.env['CDC_TEST_STACK'] = own.folder;
});

after(() => own[Symbol.asyncDispose]());

const limit = { signal: new AbortController().signal, timeoutMs: 60_000 };

const quick = { 'heartbeat.interval.ms': '500', 'retriable.restart.connector.wait.ms': '500', 'slot.retry.delay.ms': '500' };

async function write(db: LegacyDatabase, rows: number): Promise<void> {
  for (let row = 0; row < rows; row += 1)
    await db.queryAs(db.owner, `INSERT INTO products (sku, name, price, active) VALUES (gen_random_uuid(), 'n', 1, true)`);
}

/** Waits until every row is published; returns the ids in the order in which a read_committed consumer sees them. */
async function published(db: LegacyDatabase, connector: TestConnector): Promise<string[]> {
  const [count] = await db.queryAs(db.owner, 'SELECT count(*) AS rows FROM products');
  const topic = connector.topic('public.products');
  await using observer = await observeTopics(await testKafka(), [topic], uniqueName('observer'));
  const ids = (): string[] =>
    observer.messages.flatMap(({ value, partition, offset }) => {
      const event = decodeChangeEvent(value, { topic, partition, offset: offset.toString() });
      return event?.after ? [JSON.stringify(event.after['id'])] : [];
    });
  await observer.until(
    () => new Set(ids()).size >= Number(count?.['rows']),
    () => `${ids().length} of ${count?.['rows']} rows published`,
    90_000,
  );
  return ids();
}

async function terminalOf(db: LegacyDatabase, { name, config, prefix }: TestConnector, files: string): Promise<Terminal> {
  await writeFile(join(files, 'orders.json'), JSON.stringify({ name, config }));
  const connect = { ...own.state().connect, connectors: ['orders.json'], topicPrefix: prefix };
  return connectorsTerminal({ legacyDb: db.config, kafka: { brokers: own.state().kafka.brokers }, connect }, files);
}

test('the Connect worker killed amid writes and started again: nothing lost, nothing twice', async () => {
  await using db = await createLegacyDatabase();
  await using connector = await startTestConnector({ database: db, tables: ['public.products'], overrides: quick });
  await connector.streaming();
  await write(db, 30);
  await published(db, connector);
  const writing = write(db, 60);
  await own.end('connect', 'SIGKILL');
  await writing;
  const files = await mkdtemp(join(tmpdir(), 'connectors-killed-'));
  const look = await (await terminalOf(db, connector, files)).run('watch', '--once');
  await rm(files, { recursive: true });
  assert.match(look.printed, /WARNING connect-unknown: no answer from Kafka Connect at http/);
  assert.equal(look.exitCode, 1);
  await own.restart();
  await write(db, 30);
  const ids = await published(db, connector);
  assert.equal(ids.length, 120);
  assert.equal(new Set(ids).size, 120);
});

test('Postgres killed amid writes and started again: the connector goes on by itself, nothing lost, nothing twice', async () => {
  await using db = await createLegacyDatabase();
  await using connector = await startTestConnector({ database: db, tables: ['public.products'], overrides: quick });
  await connector.streaming();
  await write(db, 50);
  await published(db, connector);
  await own.end('postgres-legacy', 'SIGQUIT');
  await own.restart();
  await write(db, 50);
  const ids = await published(db, connector);
  assert.equal(ids.length, 100);
  assert.equal(new Set(ids).size, 100);
});

test('a slot dropped behind the connector: status, watch and apply call it a loss, before and after it was made again', async (t) => {
  await using db = await createLegacyDatabase();
  await using connector = await startTestConnector({ database: db, tables: ['public.products'], overrides: quick });
  await connector.streaming();
  const { client, name } = connector;
  const files = await mkdtemp(join(tmpdir(), 'connectors-loss-'));
  try {
    const cli = await terminalOf(db, connector, files);
    const toldBy = async (pattern: RegExp): Promise<void> => {
      const status = await cli.run('status');
      assert.match(status.printed, pattern);
      assert.match(status.printed, /^ {2}LOSS: /m);
      assert.equal(status.exitCode, 1);
      const look = await cli.run('watch', '--once');
      assert.match(look.printed, /ERROR loss: /);
      assert.match(look.printed, pattern);
      assert.equal(look.exitCode, 1);
      await assert.rejects(cli.run('apply'), { code: 'CONNECTOR_EVENTS_LOST', message: pattern });
    };
    await client.stop(name);
    await waitFor(async () => (await client.status(name))?.tasks.length === 0, { ...limit, describe: 'stopped' });
    await dropSlot(db.replicator, name);
    await write(db, 5);

    await t.test('while the slot is gone', () => toldBy(/does not exist any more: the changes after \w+\/\w+ are lost/));
    await t.test('when somebody made it again', async () => {
      await db.queryAs(db.replicator, `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
      await toldBy(/begins at \w+\/\w+, after the position \w+\/\w+/);
    });
    await t.test('when the connector is started all the same', async () => {
      await client.resume(name);
      const failed = await waitFor(async () => (await client.status(name))?.tasks.find(({ state }) => state === 'FAILED'), {
        ...limit,
        describe: 'the task has refused the slot',
      });
      t.diagnostic(failed.trace ?? '');
      await toldBy(/begins at \w+\/\w+, after the position \w+\/\w+/);
    });
    await t.test('a reset reads the tables again, the rows in between included', async () => {
      await cli.run('offsets', 'reset', name, '--drop-slot');
      await connector.streaming();
      assert.equal(new Set(await published(db, connector)).size, 5);
      await waitFor(async () => (await cli.run('status')).exitCode === 0, { ...limit, describe: 'well again' });
    });
  } finally {
    await rm(files, { recursive: true });
  }
});

/**
 * The worker needs 20 s to give the tasks up, and Connect to answer that it cannot report the position 10 s. The last of the file: how soon a worker that
 * has lost its group takes its tasks up again is Connect's affair, and may take minutes.
 */
const skip = process.env['TEST_NIGHTLY'] === undefined ? 'takes most of a minute: set TEST_NIGHTLY=1' : false;

test('Kafka halts: Connect goes on calling the connector RUNNING, and doctor says that it does not move', { skip }, async () => {
  await using db = await createLegacyDatabase();
  await using connector = await startTestConnector({ database: db, tables: ['public.products'], overrides: quick });
  await connector.streaming();
  await write(db, 5);
  await published(db, connector);
  const { client, name, prefix, config } = connector;
  const files = await mkdtemp(join(tmpdir(), 'connectors-stalled-'));
  await writeFile(join(files, 'orders.json'), JSON.stringify({ name, config }));
  const connect = { ...own.state().connect, connectors: ['orders.json'], topicPrefix: prefix, guard: { warnHeartbeatMs: 3000 } };
  const pipeline = { legacyDb: db.config, kafka: { brokers: own.state().kafka.brokers }, connect };
  const doctor = terminal(doctorCommand, pipeline, files);
  try {
    const well = await doctor.run('--strategy', 'log');
    assert.doesNotMatch(well.printed, /CONNECTOR_STALLED|CONNECTOR_UNREADABLE/);
    process.kill(own.pid('kafka'), 'SIGSTOP');
    const isLate = async (): Promise<boolean> =>
      (await db.query(`SELECT FROM cdc.heartbeat WHERE beat_at < clock_timestamp() - interval '4 s'`)).length > 0;
    await waitFor(isLate, { ...limit, describe: 'its heart has stopped' });
    const stalled = await doctor.run('--strategy', 'log', '--json');
    assert.equal(stalled.exitCode, 1);
    const status = await client.status(name);
    assert.deepEqual([status?.connector.state, status?.tasks.map(({ state }) => state).join()], ['RUNNING', 'RUNNING']);
    assert.match(stalled.printed, /"code": "CONNECTOR_STALLED"/);
    assert.match(stalled.printed, /does not move: its last heartbeat in the source is .* and Kafka Connect does not report its position/);
    assert.match(stalled.printed, /"code": "CONNECTOR_UNREADABLE"/);
  } finally {
    process.kill(own.pid('kafka'), 'SIGCONT');
    await rm(files, { recursive: true });
  }
});
