import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import {
  applyConnector,
  connectClient,
  dropSlot,
  planChanges,
  summarizeStatus,
  type ConnectClient,
  type ConnectorFile,
} from '#connectors/index.ts';
import { prepareTestConnector, removeConnector, startTestConnector, testConnect } from '#test/support/connect.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { uniqueName } from '#test/support/stack.ts';

/** Which walsender serves the slot: another one means that the task was restarted. */
async function walsender(db: LegacyDatabase, slot: string): Promise<string | null> {
  const [row] = await db.query('SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1', [slot]);
  return row?.['active_pid'] ?? null;
}

test('one connector through its life', async (t) => {
  await using db = await createLegacyDatabase();
  await using connector = await startTestConnector({ database: db, overrides: { 'heartbeat.interval.ms': '1000' } });
  const { client, name, slot } = connector;
  const applied: ConnectorFile = { name, config: connector.config };
  const changed = (settings: Record<string, string>): ConnectorFile => ({ name, config: { ...connector.config, ...settings } });
  const running = async (): Promise<string | undefined> => {
    const status = await client.status(name);
    return status === null ? undefined : summarizeStatus(status).health;
  };

  await t.test('applied, it is RUNNING with its task', async () => {
    assert.equal(await running(), 'running');
    assert.deepEqual(await client.config(name), connector.config);
  });

  await t.test('applying it again changes nothing: the task is not restarted', async () => {
    await connector.streaming();
    const pid = await walsender(db, slot);
    assert.ok(pid);
    const result = await applyConnector(client, applied);
    assert.equal(result.action, 'none');
    assert.equal(result.status.health, 'running');
    assert.equal(await walsender(db, slot), pid);
  });

  await t.test('a typing error is refused with the name of the setting, and nothing is touched', async () => {
    const pid = await walsender(db, slot);
    const refused = { code: 'CONNECTOR_CONFIG_INVALID' };
    await assert.rejects(applyConnector(client, changed({ 'decimal.handling.mode': 'strin' })), {
      ...refused,
      message: /\ndecimal\.handling\.mode: .*strin|\ndecimal\.handling\.mode: .*one of/,
    });
    await assert.rejects(applyConnector(client, changed({ 'poll.intreval.ms': '5' })), {
      ...refused,
      message: /poll\.intreval\.ms: unknown setting/,
    });
    assert.deepEqual(await client.config(name), connector.config);
    assert.equal(await walsender(db, slot), pid);
  });

  await t.test('where Connect answers a bare 500, the reason is reported instead', async () => {
    const config = { ...connector.config, 'heartbeat.interval.ms': 'soon' };
    await assert.rejects(client.putConfig(name, config), {
      code: 'CONNECTOR_CONFIG_INVALID',
      message: /heartbeat\.interval\.ms: .*integer/,
    });
  });

  await t.test('a login that the database refuses is reported in one paragraph, without the password, and nothing is touched', async () => {
    const password = uniqueName('wrong');
    const passwordsCount = await refusesWrongPasswords(db, password);
    const file = changed({ 'database.password': password, ...(passwordsCount ? {} : { 'database.user': 'nobody_of_that_name' }) });
    await assert.rejects(applyConnector(client, file), (error: Error) => {
      assert.match(error.message, passwordsCount ? /password authentication failed for user/ : /role "nobody_of_that_name" does not exist/);
      assert.equal(error.message.split('\n').length, 2);
      return !error.message.includes(password);
    });
    assert.deepEqual(await client.config(name), connector.config);
    assert.equal(await running(), 'running');
  });

  await t.test('what only fails once it runs is reported with its cause, and the previous settings are back and RUNNING', async () => {
    await assert.rejects(applyConnector(client, changed({ 'publication.name': 'nobody_made_it' })), {
      code: 'CONNECTOR_FAILED',
      message: /task 0 failed: .*[Pp]ublication.*\nThe previous configuration of \w+ is back and RUNNING/,
      remedy: /cdc connectors prepare/,
    });
    assert.deepEqual(await client.config(name), connector.config);
    assert.equal(await running(), 'running');
  });

  await t.test('another slot, which lacks what the position needs, is refused as a loss and undone', async () => {
    const other = uniqueName('slot');
    try {
      await assert.rejects(applyConnector(client, changed({ 'slot.name': other })), {
        code: 'CONNECTOR_FAILED',
        message: /no longer available on the server.*\nThe previous configuration of \w+ is back and RUNNING/,
        remedy: /changes since its position are lost/,
      });
      assert.equal(await running(), 'running');
    } finally {
      await dropSlot(db.replicator, other);
    }
  });

  await t.test('a change takes effect, and the plan says so before', async () => {
    const file = changed({ 'poll.interval.ms': '20' });
    assert.deepEqual(planChanges(await client.config(name), file.config).changes, [
      { kind: 'changed', key: 'poll.interval.ms', before: '10', after: '20' },
    ]);
    const pid = await walsender(db, slot);
    const result = await applyConnector(client, file);
    assert.equal(result.action, 'update');
    assert.equal(result.positionSeen, true);
    assert.equal((await client.config(name))?.['poll.interval.ms'], '20');
    assert.notEqual(await walsender(db, slot), pid);
  });

  await t.test('an abort in the middle leaves the previous settings running', async () => {
    const abort = new AbortController();
    const progress = (text: string): void => {
      if (text.includes('stopping')) abort.abort();
    };
    await assert.rejects(applyConnector(client, changed({ 'poll.interval.ms': '30' }), { signal: abort.signal, progress }), {
      name: 'AbortError',
    });
    assert.equal((await client.config(name))?.['poll.interval.ms'], '20');
    assert.equal(await running(), 'running');
  });

  await t.test('a connector that somebody stopped takes new settings and stays stopped', async () => {
    await client.stop(name);
    await waitFor(async () => (await client.status(name))?.connector.state === 'STOPPED');
    const result = await applyConnector(client, applied);
    assert.equal(result.status.state, 'STOPPED');
    assert.deepEqual(await client.config(name), connector.config);
  });
});

test('a position that the old tasks leave when they stop is not the new ones’ first', async () => {
  await using db = await createLegacyDatabase();
  const write = async (customer: string): Promise<void> => {
    await db.query('INSERT INTO customers (name, email) VALUES ($1, $2)', [customer, `${customer}@example.org`]);
  };
  // A row of the snapshot makes the topic.
  await write('seed');
  await using connector = await startTestConnector({ database: db, overrides: { 'heartbeat.interval.ms': '0' } });
  const { client, name, config } = connector;
  await waitFor(async () => (await client.offsets(name)).length > 0);
  await using customers = await observeTopics(await testKafka(), [connector.topic('public.customers')], uniqueName('observer'));
  const writeAndSee = async (customer: string): Promise<void> => {
    await write(customer);
    await customers.until(
      () => customers.messages.some(({ value }) => value?.includes(`${customer}@`)),
      () => `no event of ${customer}`,
    );
  };
  // Without a heartbeat it is a first change that ends the snapshot's position.
  await writeAndSee('first');
  await connector.streaming();
  const late: ConnectClient = {
    ...client,
    async stop(...args) {
      await writeAndSee('late');
      await client.stop(...args);
    },
  };
  const before = await client.offsets(name);
  const file = { name, config: { ...config, 'poll.interval.ms': '20' } };
  const result = await applyConnector(late, file, { positionTimeoutMs: 1500 });
  assert.notDeepEqual(await client.offsets(name), before);
  assert.equal(result.positionSeen, false, 'nothing was written since the new tasks began');
});

test('applied again with nothing changed, a connector that has FAILED is restarted once, and judged by what comes of it', async (t) => {
  await using db = await createLegacyDatabase();
  await using connector = await startTestConnector({ database: db, overrides: { 'heartbeat.interval.ms': '500' } });
  const { client, name, config, publication } = connector;
  const hasFailed = async (): Promise<boolean> => (await client.status(name))?.tasks.some(({ state }) => state === 'FAILED') ?? false;
  await client.stop(name);
  await waitFor(async () => (await client.status(name))?.tasks.length === 0);
  await db.query(`ALTER PUBLICATION ${publication} RENAME TO ${publication}_away`);
  await client.resume(name);
  await waitFor(hasFailed);

  await t.test('while the cause is there, it says so, and that it was restarted; the connector is not left stopped', async () => {
    const reported: string[] = [];
    await assert.rejects(applyConnector(client, { name, config }, { progress: (text) => reported.push(text) }), {
      code: 'CONNECTOR_FAILED',
      message: /task 0 failed: .*[Pp]ublication.*\nNothing differs from the file; it had FAILED before, and was restarted once\./,
      remedy: /cdc connectors prepare/,
    });
    assert.equal(reported.filter((text) => /failed: .*[Pp]ublication.*; nothing differs: restarting it$/.test(text)).length, 1);
    await waitFor(hasFailed);
  });

  await t.test('when the cause is gone it runs, and reports a position', async () => {
    await db.query(`ALTER PUBLICATION ${publication}_away RENAME TO ${publication}`);
    const { action, restarted, positionSeen, status } = await applyConnector(client, { name, config });
    assert.deepEqual(
      { action, restarted, positionSeen, health: status.health },
      { action: 'none', restarted: true, positionSeen: true, health: 'running' },
    );
  });

  await t.test('running again, it is left alone', async () => {
    const pid = await walsender(db, connector.slot);
    assert.equal((await applyConnector(client, { name, config })).restarted, false);
    assert.equal(await walsender(db, connector.slot), pid);
  });
});

test('a new connector that does not come up is deleted again', async () => {
  await using db = await createLegacyDatabase();
  const client = await testConnect();
  const { file } = await prepareTestConnector({ database: db });
  try {
    const config = { ...file.config, 'publication.name': 'nobody_made_it' };
    await assert.rejects(applyConnector(client, { name: file.name, config }), {
      code: 'CONNECTOR_FAILED',
      message: /[Pp]ublication.*\nThe new connector \w+ was deleted again/,
    });
    assert.equal(await client.config(file.name), null);
  } finally {
    await removeConnector(client, file.name, db.replicator);
  }
});

test('a Connect that is not there is one error with its address', async () => {
  const client = connectClient({ url: 'http://127.0.0.1:1' });
  await assert.rejects(applyConnector(client, { name: 'orders', config: {} }), {
    code: 'CONNECT_UNREACHABLE',
    message: /http:\/\/127\.0\.0\.1:1/,
    remedy: /connect\.url/,
  });
});

/** A developer's server may trust everybody; the stack's own asks for passwords. */
async function refusesWrongPasswords(db: LegacyDatabase, password: string): Promise<boolean> {
  const client = new Client({ ...db.replicator, password });
  try {
    await client.connect();
    await client.end();
    return false;
  } catch {
    return true;
  }
}

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) assert.ok(Date.now() < deadline, 'not within a minute');
}
