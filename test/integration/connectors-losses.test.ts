import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareTestConnector, removeConnector, removeTopics, testConnect, testConnectAccess } from '#test/support/connect.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack } from '#test/support/stack.ts';
import { connectorsTerminal } from '#test/support/terminal.ts';

test('plan and apply name the columns that Debezium will not carry, but not those that the connector leaves out', async () => {
  await using db = await createLegacyDatabase({ empty: true });
  await db.query(`CREATE TABLE listed (id int PRIMARY KEY, names name[], sums money[], words text[], left_out point[], day date, place int2vector);
    CREATE TABLE plain (id int PRIMARY KEY, at timestamptz)`);
  const client = await testConnect();
  const { file } = await prepareTestConnector({
    database: db,
    tables: ['public.listed', 'public.plain'],
    overrides: { 'column.exclude.list': 'public.listed.left_out' },
  });
  const { name } = file;
  const { kafka } = await testStack();
  const connect = { ...(await testConnectAccess()), connectors: ['orders.json'], topicPrefix: file.config['topic.prefix'] };
  const pipeline = { legacyDb: db.config, kafka: { brokers: kafka.brokers, replicationFactor: 1 }, connect };
  const folder = await mkdtemp(join(tmpdir(), 'connectors-'));
  const warning = `${name}: Debezium does not carry every value of names, sums, place of public.listed: NULL, or another value, comes in its place (cdc doctor says more)`;
  try {
    const cli = connectorsTerminal(pipeline, folder);
    await writeFile(join(folder, 'orders.json'), JSON.stringify(file));
    assert.equal((await cli.run('plan')).progress, warning);
    const applied = await cli.run('apply');
    assert.equal(applied.printed, `${name}: created; RUNNING, 1 task`);
    assert.ok(applied.progress.split('\n').includes(warning), applied.progress);
    // Also where nothing changes: the column may have come since.
    assert.ok((await cli.run('apply')).progress.split('\n').includes(warning));
    await db.query(
      'ALTER TABLE listed DROP COLUMN names, DROP COLUMN sums, DROP COLUMN place; ALTER TABLE plain ADD COLUMN at_hand refcursor',
    );
    assert.equal(
      (await cli.run('plan')).progress,
      `${name}: a value of at_hand of public.plain stops the connector (cdc doctor says more)`,
    );
    const { replicator } = db.config.roles;
    const stranger = { ...db.config, roles: { ...db.config.roles, replicator: { ...replicator, user: 'nobody_here' } } };
    const unseen = await connectorsTerminal({ ...pipeline, legacyDb: stranger }, folder).run('plan');
    assert.equal(unseen.printed, `${name}: no changes`);
    assert.match(unseen.progress, /: whether Debezium carries every column could not be seen: .*nobody_here/);
  } finally {
    await removeConnector(client, name, db.replicator);
    await removeTopics(file.config['topic.prefix'] ?? '');
    await rm(folder, { recursive: true });
  }
});
