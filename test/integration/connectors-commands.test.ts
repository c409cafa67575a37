import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { parse } from 'yaml';
import { waitForStreaming, type ConnectClient } from '#connectors/index.ts';
import { snapshotProgress } from '#connectors/snapshot/progress.ts';
import { waitFor } from '#stack/index.ts';
import { prepareTestConnector, removeConnector, removeTopics, testConnect, testConnectAccess } from '#test/support/connect.ts';
import { connectorsTerminal, type Terminal } from '#test/support/terminal.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

const limit = { signal: new AbortController().signal, timeoutMs: 60_000 };

test('a connector by the commands: plan, validate, apply, status, restart, stop, delete with its slot', async (t) => {
  await using db = await createLegacyDatabase();
  const client = await testConnect();
  const { file } = await prepareTestConnector({ database: db, overrides: { 'incremental.snapshot.chunk.size': '20' } });
  const { name } = file;
  const folder = await mkdtemp(join(tmpdir(), 'connectors-'));
  const { kafka } = await testStack();
  const topicPrefix = file.config['topic.prefix'];
  const connect = { ...(await testConnectAccess()), connectors: ['orders.json'], topicPrefix };
  const pipeline = { legacyDb: db.config, kafka: { brokers: kafka.brokers, replicationFactor: 1 }, connect };
  const cli = connectorsTerminal(pipeline, folder);
  try {
    await writeFile(join(folder, 'orders.json'), JSON.stringify(file));

    await t.test('prepare says that nothing is left to do', async () => {
      assert.match((await cli.run('prepare')).printed, /present +publication .*\n(?:.*\n)*nothing to do$/);
    });
    await t.test('plan shows references, and says by its exit code that there is a difference', async () => {
      const { printed, exitCode } = await cli.run('plan');
      assert.equal(exitCode, 2);
      assert.match(printed, /would be created\n/);
      assert.match(printed, /\+ database\.password = \$\{env:LEGACY_DB_REPLICATOR_PASSWORD\}/);
    });
    await t.test('validate asks the server and creates nothing', async () => {
      const valid = await cli.run('validate');
      assert.equal(valid.printed, `${name}: valid`);
      // The shipped file has no setting that the connector would pass over.
      assert.doesNotMatch(valid.progress, /does not know/);
      assert.equal(await client.config(name), null);
    });
    await t.test('apply creates; plan then sees no difference', async () => {
      assert.equal((await cli.run('apply')).printed, `${name}: created; RUNNING, 1 task`);
      assert.deepEqual(await cli.run('plan'), { printed: `${name}: no changes`, progress: '', exitCode: 0 });
      assert.equal((await cli.run('apply')).printed, `${name}: no changes; RUNNING, 1 task`);
    });
    await t.test('status, list and offsets show its position', async () => {
      await waitForStreaming(client, name, { timeoutMs: 60_000 });
      const status = await cli.run('status');
      const [line, ...lag] = status.printed.split('\n');
      assert.equal(line, `${name}: RUNNING, 1 of 1 tasks RUNNING`);
      assert.match(
        lag.join('\n'),
        /^ {2}slot \w+: in use, keeps [\d.]+ \w+ of WAL in the source, confirmed to \w+\/\w+\n {2}heartbeat: [\d.]+ s ago$/,
      );
      assert.equal(status.exitCode, 0);
      assert.ok((await cli.run('list')).printed.split('\n').includes(`${name}  RUNNING`));
      assert.match((await cli.run('offsets', 'show', name)).printed, /"lsn"/);
      const [summary]: unknown[] = JSON.parse((await cli.run('status', '--json')).printed);
      assert.ok(typeof summary === 'object' && summary !== null && 'health' in summary);
      assert.equal(summary.health, 'running');
    });
    await t.test('stop and resume are seen in status and its exit code', async () => {
      await cli.run('stop', name);
      await reaches(cli, name, /STOPPED/, 1);
      await cli.run('resume', name);
      await reaches(cli, name, /1 of 1 tasks RUNNING/, 0);
    });
    await t.test('a connector file with another topic.prefix than pipeline.yaml is refused, both named', async () => {
      const other = connectorsTerminal({ ...pipeline, connect: { ...connect, topicPrefix: 'other' } }, folder);
      await assert.rejects(other.run('plan'), {
        code: 'CONNECTOR_CONFIG_INVALID',
        message: new RegExp(`topic\\.prefix is ${topicPrefix}, but connect\\.topicPrefix in pipeline\\.yaml is other`),
      });
    });
    await t.test('snapshot reads a table again beside the stream, and says how far it is', async () => {
      await db.query(
        `INSERT INTO customers (email, name, tier, created_at) SELECT 'c' || n, 'C', 'gold', now() FROM generate_series(1, 2500) n`,
      );
      // It waits at row 1500 until its progress has been shown: a short one may come and go between two looks.
      const holder = new Client({ ...db.owner });
      await holder.connect();
      try {
        await holder.query('SELECT pg_advisory_lock(1500)');
        const where = `id > 500 AND (id <> 1500 OR pg_advisory_xact_lock_shared(1500)::text = '')`;
        await using running = cli.start('snapshot', 'public.customers', '--where', where);
        await waitFor(async () => running.progress.some((line) => /^public\.customers: read to key \d+ of 2500$/.test(line)), {
          ...limit,
          describe: 'its progress is shown',
        });
        await holder.query('SELECT pg_advisory_unlock(1500)');
        await waitFor(async () => running.printed.length > 0, { ...limit, describe: 'the snapshot has ended' });
        assert.deepEqual(running.printed, [`${name}: public.customers read again`]);
      } finally {
        await holder.end();
      }
      await using rows = await observeTopics(await testKafka(), [`${topicPrefix}.public.customers`], uniqueName('observer'));
      await rows.until(
        () => rows.messages.length >= 4500,
        () => `${rows.messages.length} of 4500 messages`,
      );
      const again = rows.messages.filter(({ value }) => value?.includes('"snapshot":"incremental"'));
      assert.equal(again.length, 2000);
    });
    await t.test('snapshot by a condition that the server does not take is refused: Debezium would end it as if it were done', async () => {
      for (const where of ['id >', "id = 'x'", 'nope = 1', 'true); DELETE FROM customers WHERE (true']) {
        await assert.rejects(cli.run('snapshot', 'public.customers', '--where', where), {
          code: 'SNAPSHOT_FAILED',
          message:
            /^--where .*: public\.customers cannot be read by it: (?:syntax error|invalid input|column "nope"|cannot insert multiple)/,
        });
      }
    });
    await t.test('snapshot of what the connector does not capture is refused, not waited for', async () => {
      await assert.rejects(cli.run('snapshot', 'public.nope'), {
        code: 'SNAPSHOT_FAILED',
        message: /no connector captures public\.nope \(table\.include\.list has public\.customers, /,
      });
      await db.query('ALTER TABLE order_items DROP CONSTRAINT order_items_pkey');
      await assert.rejects(cli.run('snapshot', 'public.order_items'), { code: 'SNAPSHOT_FAILED', message: /has no primary key/ });
      await db.query('ALTER TABLE order_items ADD PRIMARY KEY (id)');
    });
    await t.test('offsets reset forgets the position and takes a new snapshot; the slot stays', async () => {
      const { printed } = await cli.run('offsets', 'reset', name);
      assert.equal(printed, `${name}: position forgotten; resumed`);
      await using rows = await observeTopics(await testKafka(), [`${topicPrefix}.public.customers`], uniqueName('observer'));
      // Once as changes, 2000 by the incremental snapshot, and all of them again.
      await rows.until(
        () => rows.messages.length >= 7000,
        () => `${rows.messages.length} of 7000 messages`,
      );
      await waitForStreaming(client, name, { timeoutMs: 60_000 });
    });
    await t.test('offsets set goes back to an earlier position only as far as the slot holds it, and forward only by force', async () => {
      const position = await cli.run('offsets', 'show', name, '--json');
      await writeFile(join(folder, 'position.json'), position.printed);
      await db.query(`UPDATE customers SET name = 'D' WHERE id <= 10`);
      await reachesPosition(client, name, db);
      await assert.rejects(cli.run('offsets', 'set', name, join(folder, 'position.json')), {
        code: 'OFFSETS_REFUSED',
        message: /the slot begins at \w+\/\w+, .* after it: that log is gone/,
      });
      await reaches(cli, name, /1 of 1 tasks RUNNING/, 0);
      await cli.run('stop', name);
      await reaches(cli, name, /STOPPED/, 1);
      await writeFile(join(folder, 'ahead.json'), await movedBy(cli, name, 1_000_000));
      await assert.rejects(cli.run('offsets', 'set', name, join(folder, 'ahead.json')), { message: /are skipped/, remedy: /--force/ });
      await writeFile(join(folder, 'other.json'), '[{"partition":{"server":"elsewhere"},"offset":{"lsn":1}}]');
      await assert.rejects(cli.run('offsets', 'set', name, join(folder, 'other.json'), '--force'), {
        code: 'OFFSETS_REFUSED',
        message: new RegExp(`has no position of \\{"server":"elsewhere"\\}; it has one of \\{"server":"${topicPrefix}"\\}$`),
      });
      const same = await cli.run('offsets', 'show', name, '--json');
      await writeFile(join(folder, 'same.json'), same.printed);
      assert.equal(
        (await cli.run('offsets', 'set', name, join(folder, 'same.json'))).printed,
        `${name}: position set: the position stays; stopped`,
      );
      await reaches(cli, name, /STOPPED/, 1);
      await cli.run('resume', name);
      await reaches(cli, name, /1 of 1 tasks RUNNING/, 0);
    });
    await t.test('snapshot --abort ends one that runs: what it had read stays published, and no more comes', async () => {
      await using rows = await observeTopics(await testKafka(), [`${topicPrefix}.public.customers`], uniqueName('observer'));
      const again = (): number => rows.messages.filter(({ value }) => value?.includes('"snapshot":"incremental"')).length;
      // 625 chunks: to read them takes longer than anybody here looks away.
      await db.query(
        `INSERT INTO customers (email, name, tier, created_at) SELECT 'd' || n, 'D', 'gold', now() FROM generate_series(1, 10000) n`,
      );
      await cli.run('snapshot', 'public.customers', '--no-wait');
      // Those of the snapshot before are 2000.
      await rows.until(
        () => again() > 2000,
        () => `${again()} rows read again`,
      );
      assert.notEqual(snapshotProgress(await client.offsets(name)), null);
      assert.equal((await cli.run('snapshot', '--abort')).printed, `${name}: asked to end its incremental snapshot`);
      await waitFor(async () => snapshotProgress(await client.offsets(name)) === null, { ...limit, describe: 'the snapshot has ended' });
      await db.query(`UPDATE customers SET name = 'after the abort' WHERE id = 1`);
      await rows.until(
        () => rows.messages.some(({ value }) => value?.includes('after the abort')),
        () => 'the stream goes on',
      );
      assert.ok(again() < 2000 + 12_500, `${again()} rows read again`);
    });
    await t.test('render gives Strimzi the same settings', async () => {
      const { printed } = await cli.run('render', '--strimzi', 'my-connect');
      const resource: unknown = parse(printed);
      const { 'connector.class': kind, 'tasks.max': tasks, name: _name, ...config } = file.config;
      assert.deepEqual(resource, {
        apiVersion: 'kafka.strimzi.io/v1beta2',
        kind: 'KafkaConnector',
        metadata: { name: name.replaceAll('_', '-'), labels: { 'strimzi.io/cluster': 'my-connect' } },
        spec: { class: kind, tasksMax: Number(tasks), config },
      });
    });
    await t.test('names that nobody knows are refused by name', async () => {
      await assert.rejects(cli.run('apply', 'nope'), { code: 'CONNECTOR_NOT_FOUND', message: /nope/ });
      await assert.rejects(cli.run('restart', 'nope'), { code: 'CONNECTOR_NOT_FOUND', message: /nope/ });
      await assert.rejects(cli.run('status', 'nope'), { code: 'CONNECTOR_NOT_FOUND', message: /nope/ });
    });
    await t.test('delete --drop-slot leaves neither connector nor slot', async () => {
      assert.equal((await cli.run('delete', '--drop-slot', name)).printed, `${name}: deleted\nreplication slot ${name}: dropped`);
      assert.equal(await client.config(name), null);
      assert.deepEqual(await db.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [name]), []);
    });
    await t.test('applied again under the same name it starts afresh: no old position is in its way', async () => {
      assert.equal((await cli.run('apply')).printed, `${name}: created; RUNNING, 1 task`);
      await waitForStreaming(client, name, { timeoutMs: 60_000 });
      await cli.run('delete', '--drop-slot', name);
    });
    await t.test('prepare --undo takes all of it back', async () => {
      assert.match(
        (await cli.run('prepare', '--undo')).printed,
        /removed +publication .*\n(?:.*\n)*removed +schema cdc: DROP SCHEMA cdc;\n/,
      );
    });
  } finally {
    await removeConnector(client, name, db.replicator);
    await removeTopics(file.config['topic.prefix'] ?? '');
    await rm(folder, { recursive: true });
  }
});

test('without a connect section the commands say what is missing', async () => {
  await using db = await createLegacyDatabase({ empty: true });
  const cli = connectorsTerminal({ legacyDb: db.config, kafka: { brokers: 'unused:9092' } }, '.');
  await assert.rejects(cli.run('list'), { code: 'CONFIG_INVALID', message: /no connect section/ });
});

async function reaches(cli: Terminal, name: string, pattern: RegExp, exitCode: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const status = await cli.run('status', name);
    if (pattern.test(status.printed) && status.exitCode === exitCode) return;
    assert.ok(Date.now() < deadline, status.printed);
  }
}

/** Waits until the slot is confirmed past what the log holds now. */
async function reachesPosition(client: ConnectClient, name: string, db: LegacyDatabase): Promise<void> {
  const [head] = await db.query('SELECT pg_current_wal_lsn() AS lsn');
  const deadline = Date.now() + 60_000;
  for (;;) {
    const [slot] = await db.query('SELECT confirmed_flush_lsn >= $1::pg_lsn AS past FROM pg_replication_slots WHERE slot_name = $2', [
      head?.['lsn'],
      name,
    ]);
    if (slot?.['past'] === 't') return;
    assert.ok(Date.now() < deadline, JSON.stringify(await client.offsets(name)));
    await db.query('SELECT pg_sleep(0.1)');
  }
}

/** The present position, further on by so many bytes of log. */
async function movedBy(cli: Terminal, name: string, bytes: number): Promise<string> {
  const { printed } = await cli.run('offsets', 'show', name, '--json');
  return printed.replaceAll(
    /"(?<field>lsn|lsn_proc|lsn_commit)": (?<lsn>\d+)/g,
    (_all, field: string, lsn: string) => `"${field}": ${Number(lsn) + bytes}`,
  );
}
