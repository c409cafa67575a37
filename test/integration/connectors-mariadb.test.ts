import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { decodeChangeEvent, type ChangeEvent } from '#change-events/index.ts';
import { insertBinlogSignal } from '#connectors/mariadb/signal.ts';
import { deleteConnector, waitForStreaming, type ConnectClient } from '#connectors/index.ts';
import { stopSnapshot } from '#connectors/snapshot/signal.ts';
import { mariadbConnectionOptions } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { removeTopics, testConnect, testConnectAccess } from '#test/support/connect.ts';
import { observeTopics, type TopicObserver } from '#test/support/kafka.ts';
import { mariadbSamples } from '#test/support/mariadb-samples.ts';
import { createMariadbScene, whyNoMariadb, type MariadbScene } from '#test/support/mariadb.ts';
import { asRoot, prepareMariadbConnector, type PreparedMariadb } from '#test/support/mariadb-connector.ts';
import { rawMember } from '#test/support/raw-json.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { connectorsTerminal, type Terminal } from '#test/support/terminal.ts';

const why = await whyNoMariadb();
/** Debezium cannot read a table that has an inet6. */
const types = Object.entries(mariadbSamples).filter(([type]) => type !== 'inet6');
const depth = Math.max(...types.map(([, samples]) => samples.length));
const limit = { signal: new AbortController().signal, timeoutMs: 60_000 };

suite('Debezium on MariaDB', { skip: why ?? false }, () => {
  let scene: MariadbScene;
  let prepared: PreparedMariadb;
  let client: ConnectClient;
  let cli: Terminal;
  let folder: string;
  let observer: TopicObserver;
  let name: string;

  const topic = (table: string): string => `${name}.${scene.database}.${table}`;
  const eventsOf = (table: string): ChangeEvent[] =>
    observer.messages.flatMap(({ topic: from, partition, offset, value }) => {
      if (from !== topic(table)) return [];
      const event = decodeChangeEvent(value, { topic: from, partition, offset: offset.toString() });
      return event === null ? [] : [event];
    });
  const arrives = async (table: string, found: (event: ChangeEvent) => boolean): Promise<ChangeEvent> => {
    await observer.until(
      () => eventsOf(table).some(found),
      () => `not among ${eventsOf(table).length} events of ${table}`,
    );
    const event = eventsOf(table).find(found);
    assert.ok(event);
    return event;
  };

  before(async () => {
    client = await testConnect();
    folder = await mkdtemp(join(tmpdir(), 'connectors-mariadb-'));
    scene = await createMariadbScene(
      [
        "SET sql_mode = ''",
        "SET time_zone = '+03:00'",
        'SET NAMES utf8mb4',
        'CREATE TABLE orders (id bigint PRIMARY KEY AUTO_INCREMENT, value varchar(50))',
        "INSERT INTO orders (value) VALUES ('one'), ('two'), ('three')",
        'CREATE TABLE emptied (id int PRIMARY KEY)',
        'INSERT INTO emptied VALUES (1), (2)',
        `CREATE TABLE samples (id int PRIMARY KEY AUTO_INCREMENT, ${types.map(([type], index) => `c${index} ${type}`).join(', ')})`,
        'CREATE TABLE secret (id int PRIMARY KEY)',
      ],
      { tables: [{ table: 'orders', mode: 'incrementing' }] },
    );
    prepared = await prepareMariadbConnector(scene.database, ['orders', 'emptied', 'samples']);
    ({ name } = prepared.file);
    await using admin = await scene.kafka.admin();
    await admin.ensureTopics(
      ['orders', 'emptied', 'samples'].map((table) => ({ topic: topic(table), partitions: 3, replicationFactor: 1 })),
    );
    observer = await observeTopics(scene.kafka, ['orders', 'emptied', 'samples'].map(topic), uniqueName('observer'));
    await writeFile(join(folder, 'maria.json'), JSON.stringify(prepared.file));
    const { kafka } = await testStack();
    const { legacyDb } = scene.config;
    cli = connectorsTerminal(
      {
        legacyDb: { ...legacyDb, roles: { ...legacyDb.roles, replicator: prepared.replicator } },
        kafka: { brokers: kafka.brokers, replicationFactor: 1 },
        connect: { ...(await testConnectAccess()), connectors: ['maria.json'], topicPrefix: name },
      },
      folder,
    );
  });

  after(async () => {
    await observer[Symbol.asyncDispose]();
    if ((await client.config(name)) !== null) await deleteConnector(client, name, undefined, { forgetPosition: true });
    await removeTopics(name);
    await prepared[Symbol.asyncDispose]();
    await scene[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const statusSays = async (pattern: RegExp): Promise<void> => {
    await waitFor(async () => pattern.test((await cli.run('status')).printed), { ...limit, describe: `status says ${pattern.source}` });
  };

  const write = async (from: number): Promise<void> => {
    for (let id = from; id < from + 50; id += 1) await scene.query(`INSERT INTO orders VALUES (${id}, 'w')`);
  };
  const written = (): unknown[] => eventsOf('orders').flatMap(({ after: row }) => (row?.['value'] === 'w' ? [row['id']] : []));
  const times = (id: number): number => eventsOf('orders').filter(({ after: row }) => row?.['id'] === id).length;

  test('the shipped file, as a user with the rights that the scripts give: plan, validate, apply, and nothing to change then', async () => {
    assert.equal((await cli.run('plan')).exitCode, 2);
    const { printed, progress } = await cli.run('validate');
    assert.equal(printed, `${name}: valid`);
    assert.doesNotMatch(progress, /does not know/);
    assert.equal((await cli.run('apply')).printed, `${name}: created; RUNNING, 1 task`);
    assert.equal((await cli.run('plan')).printed, `${name}: no changes`);
    await waitForStreaming(client, name, { timeoutMs: 60_000 });
    await observer.until(
      () => eventsOf('orders').length === 3,
      () => `${eventsOf('orders').length} rows`,
    );
    assert.deepEqual(new Set(eventsOf('orders').map(({ op }) => op)), new Set(['r']));
  });

  test('insert, update, delete with tombstone, change of the key, truncate', async () => {
    await scene.query("INSERT INTO orders (id, value) VALUES (10, 'new')");
    const created = await arrives('orders', ({ after: row }) => row?.['id'] === 10);
    assert.equal(created.op, 'c');
    assert.equal(created.source.db, scene.database);
    await scene.query("UPDATE orders SET value = 'changed' WHERE id = 10");
    const updated = await arrives('orders', ({ op }) => op === 'u');
    assert.deepEqual([updated.before?.['value'], updated.after?.['value']], ['new', 'changed']);
    await scene.query('UPDATE orders SET id = 11 WHERE id = 10');
    const moved = await arrives('orders', ({ op, after: row }) => op === 'c' && row?.['id'] === 11);
    const left = await arrives('orders', ({ op, before: row }) => op === 'd' && row?.['id'] === 10);
    assert.equal(moved.transaction?.id, left.transaction?.id);
    await scene.query('DELETE FROM orders WHERE id = 11');
    await arrives('orders', ({ op, before: row }) => op === 'd' && row?.['id'] === 11);
    await observer.until(
      () => observer.messages.filter(({ topic: from, value }) => from === topic('orders') && value === null).length === 2,
      () => 'two tombstones',
    );
    await scene.query('TRUNCATE TABLE emptied');
    await arrives('emptied', ({ op }) => op === 't');
  });

  test('every type: the very text that the poller writes, where docs/mariadb.md does not say otherwise', async () => {
    for (let at = 0; at < depth; at += 1) {
      const values = types.map(([, samples]) => samples[Math.min(at, samples.length - 1)]?.[0] ?? 'NULL');
      await scene.query(`INSERT INTO samples VALUES (DEFAULT, ${values.join(', ')})`);
    }
    await observer.until(
      () => eventsOf('samples').length === depth,
      () => `${eventsOf('samples').length} of ${depth} rows`,
    );
    const unequal: string[] = [];
    for (const { topic: from, value } of observer.messages) {
      if (from !== topic('samples') || value === null) continue;
      const row = rawMember(value.toString(), 'after') ?? '';
      const at = Number(rawMember(row, 'id')) - 1;
      for (const [index, [type, samples]] of types.entries()) {
        const [, json, otherwise] = samples[Math.min(at, samples.length - 1)] ?? [];
        const found = rawMember(row, `c${index}`);
        if (found !== json && otherwise === undefined) unequal.push(`${type}, value ${at + 1}: ${found}, not ${json}`);
      }
    }
    assert.deepEqual(unequal, []);
  });

  test('status tells how far behind, where it stands and how long the server keeps the rest; offsets shows the position', async () => {
    await statusSays(/binlog: at \w+\.\d+:\d+, [\d.]+ \w+ behind, the server writes \w+\.\d+:\d+, files are /);
    const { printed, exitCode } = await cli.run('status');
    assert.match(printed, /RUNNING, 1 of 1 tasks RUNNING\n[^]*heartbeat: [\d.]+ s ago$/);
    assert.equal(exitCode, 0);
    assert.match((await cli.run('offsets', 'show', name)).printed, /"file"/);
    assert.deepEqual(await cli.run('watch', '--once'), { printed: `${name}: well`, progress: '', exitCode: 0 });
  });

  test('what a signal is waited for is its own transaction, whatever is written right behind it', async () => {
    const { host, port } = scene.config.legacyDb;
    const connection = mariadbConnectionOptions({ host, port }, prepared.replicator, 'test');
    const given: { readonly id: string; readonly gtid: string | undefined }[] = [];
    // Other files write to this server, and may begin a new file of its binlog at any moment.
    const [[first, from] = []] = await asRoot((run) => run('SHOW MASTER STATUS'));
    const done = new AbortController();
    const writing = (async () => {
      for (let id = 0; !done.signal.aborted; id += 1) await scene.query(`INSERT INTO secret VALUES (${id})`);
    })();
    for (let count = 0; count < 10; count += 1) {
      const signal = stopSnapshot(uniqueName('sig'), []);
      given.push({ id: signal.id, gtid: await insertBinlogSignal('cdc.signal', signal, { dialect: 'mariadb', connection }) });
    }
    done.abort();
    await writing;
    const events = await asRoot(async (run) => {
      const files = (await run('SHOW BINARY LOGS')).map(([file = '']) => file ?? '');
      const shown: string[] = [];
      for (const file of files.slice(files.indexOf(String(first))))
        for (const [, , , , , info] of await run(`SHOW BINLOG EVENTS IN '${file}'${file === first ? ` FROM ${from}` : ''}`))
          shown.push(info ?? '');
      return shown;
    });
    for (const { id, gtid } of given) {
      // Transactions that were committed together have the number of their group behind it.
      const at = events.findIndex((info) => new RegExp(` GTID ${gtid}(?: cid=\\d+)?$`).test(info));
      assert.ok(at >= 0, `no event ${gtid} of ${events.length}`);
      assert.match(events[at + 1] ?? '', new RegExp(`INSERT INTO .*${id}`));
    }
  });

  test('a table is read again beside the stream; one that is not captured is refused', async () => {
    const sofar = eventsOf('orders').length;
    assert.equal((await cli.run('snapshot', `${scene.database}.orders`)).printed, `${name}: ${scene.database}.orders read again`);
    await observer.until(
      () => eventsOf('orders').filter(({ op }) => op === 'r').length === 6,
      () => `${eventsOf('orders').length - sofar} more events`,
    );
    await assert.rejects(cli.run('snapshot', `${scene.database}.secret`), { code: 'SNAPSHOT_FAILED' });
  });

  test('a condition that the server does not take is refused: Debezium would end the snapshot as if it were done', async () => {
    for (const where of ['id >', 'nope = 1', '1); DELETE FROM orders WHERE (1']) {
      await assert.rejects(cli.run('snapshot', `${scene.database}.orders`, '--where', where), {
        code: 'SNAPSHOT_FAILED',
        message: /cannot be read by it: (?:You have an error in your SQL syntax|Unknown column)/,
      });
    }
  });

  test('restarted and stopped amid writes: nothing is lost, nothing comes twice', async () => {
    const writing = write(1000);
    await cli.run('restart', name);
    await writing;
    await cli.run('stop', name);
    await statusSays(/STOPPED/);
    await write(2000);
    await cli.run('resume', name);
    await observer.until(
      () => new Set(written()).size >= 100,
      () => `${new Set(written()).size} of 100 rows`,
    );
    assert.equal(written().length, 100);
  });

  test('the position is set back and events come again; forward is refused', async () => {
    const show = async (): Promise<string> => (await cli.run('offsets', 'show', name, '--json')).printed;
    await cli.run('stop', name);
    await statusSays(/STOPPED/);
    const old = await show();
    await scene.query("INSERT INTO orders VALUES (3000, 'again')");
    await cli.run('resume', name);
    await observer.until(
      () => times(3000) === 1,
      () => 'the row',
    );
    await writeFile(join(folder, 'old.json'), old);
    assert.match((await cli.run('offsets', 'set', name, join(folder, 'old.json'))).printed, /is published again; resumed$/);
    await observer.until(
      () => times(3000) === 2,
      () => 'the row again',
    );
    await writeFile(join(folder, 'far.json'), old.replace(/"pos": \d+/, '"pos": 999999999'));
    await assert.rejects(cli.run('offsets', 'set', name, join(folder, 'far.json')), {
      code: 'OFFSETS_REFUSED',
      message: /binlog does not hold/,
    });
  });

  test('delete forgets the position with --drop-slot, though there is no slot', async () => {
    await cli.run('delete', name, '--drop-slot');
    assert.equal(await client.config(name), null);
    assert.deepEqual(await client.offsets(name).catch(() => []), []);
  });
});
