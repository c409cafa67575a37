import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import getPort from 'get-port';
import { createConnection } from 'mysql2/promise';
import { decodeChangeEvent, type ChangeEvent } from '#change-events/index.ts';
import { deleteConnector, readConnectorFile, waitForStreaming, type ConnectClient } from '#connectors/index.ts';
import { examine } from '#doctor/examine.ts';
import type { Report } from '#doctor/report.ts';
import { doctorRequest } from '#doctor/request.ts';
import { pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { removeTopics, testConnect, testConnectAccess } from '#test/support/connect.ts';
import { briefly, findingOf } from '#test/support/doctor.ts';
import { observeTopics, testKafka, type TopicObserver } from '#test/support/kafka.ts';
import { whyNoMariadb } from '#test/support/mariadb.ts';
import { createOwnMariadb, rootUser, type OwnMariadb, type RunningMariadb } from '#test/support/own-mariadb.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { connectorsTerminal, type Terminal } from '#test/support/terminal.ts';

/** What the server tells as committed has been written, to its tables and its binlog. */
const durable = ['--innodb-flush-log-at-trx-commit=1', '--sync-binlog=1'];
const limit = { signal: new AbortController().signal, timeoutMs: 60_000 };

suite('Debezium on a MariaDB of its own', { skip: (await whyNoMariadb()) ?? false }, () => {
  const name = uniqueName('maria_own');
  const replicator = { user: 'cdc_replicator', password: 'replicator' };
  const owner = { user: 'dba', password: 'dba' };
  let own: OwnMariadb;
  let server: RunningMariadb;
  let client: ConnectClient;
  let config: PipelineConfig;
  let cli: Terminal;
  let folder: string;
  let observer: TopicObserver;

  const events = (): ChangeEvent[] =>
    observer.messages.flatMap(
      ({ topic, partition, offset, value }) => decodeChangeEvent(value, { topic, partition, offset: offset.toString() }) ?? [],
    );
  const created = (): number[] => events().flatMap(({ op, after: row }) => (op === 'c' ? [Number(row?.['id'])] : []));
  const timesRead = (): number => events().filter(({ op, after: row }) => op === 'r' && row?.['id'] === 1).length;
  const inTable = async (): Promise<number[]> => (await server.query('SELECT id FROM shop.orders')).map(([id]) => Number(id));
  const doctor = async (): Promise<readonly string[]> => briefly(await examine(await doctorRequest(config, folder, ['log'])));

  before(async () => {
    own = await createOwnMariadb();
    [client, folder, server] = await Promise.all([
      testConnect(),
      mkdtemp(join(tmpdir(), 'connectors-mariadb-own-')),
      own.start(await getPort(), durable),
    ]);
    const { host, port } = server.location;
    await server.query('CREATE DATABASE shop');
    await server.query('CREATE TABLE shop.orders (id bigint PRIMARY KEY, value varchar(50))');
    await server.query("INSERT INTO shop.orders VALUES (1, 'before'), (2, 'before')");
    await server.query(`CREATE USER ${replicator.user} IDENTIFIED BY '${replicator.password}'`);
    await server.query(`CREATE USER ${owner.user} IDENTIFIED BY '${owner.password}'`);
    const shipped = await readConnectorFile(join(import.meta.dirname, '..', '..', 'connectors', 'legacy-mariadb.json'));
    const connector = {
      ...shipped.config,
      name,
      'database.hostname': host,
      'database.port': String(port),
      'database.user': replicator.user,
      'database.password': replicator.password,
      'topic.prefix': name,
      'database.include.list': 'shop,cdc',
      'table.include.list': 'shop.orders,cdc.heartbeat',
      'schema.history.internal.kafka.topic': `${name}.schema-history`,
      'heartbeat.interval.ms': '500',
      // A lost connection is noticed within two of these (docs/log-based.md); the default is a minute.
      'connect.keep.alive.interval.ms': '1000',
    };
    await writeFile(join(folder, 'maria.json'), JSON.stringify({ name, config: connector }));
    const { kafka: brokers } = await testStack();
    const pipeline = {
      legacyDb: { dialect: 'mariadb', host, port, database: 'shop', roles: { poller: replicator, replicator, owner } },
      kafka: { brokers: brokers.brokers, replicationFactor: 1 },
      connect: { ...(await testConnectAccess()), connectors: ['maria.json'], topicPrefix: name },
    };
    config = pipelineSchema.parse(pipeline);
    cli = connectorsTerminal(pipeline, folder);
    const kafka = await testKafka();
    await using admin = await kafka.admin();
    await admin.ensureTopics([{ topic: `${name}.shop.orders`, partitions: 1, replicationFactor: 1 }]);
    observer = await observeTopics(kafka, [`${name}.shop.orders`], name);
  });

  after(async () => {
    if ((await client.config(name)) !== null) await deleteConnector(client, name, undefined, { forgetPosition: true });
    await observer[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await removeTopics(name);
    await own[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('prepare: an owner without the rights is told which; a DBA makes all of it once, and doctor has nothing left to say', async () => {
    await assert.rejects(cli.run('prepare'), {
      code: 'SOURCE_PREPARE_FAILED',
      message: /01-tables\.sql as dba/,
      remedy: /REPLICATION SLAVE, BINLOG MONITOR .* WITH GRANT OPTION/,
    });
    assert.notDeepEqual(await doctor(), []);
    await server.query(`GRANT ALL ON *.* TO ${owner.user} WITH GRANT OPTION`);
    const { printed } = await cli.run('prepare');
    assert.match(printed, /^created +database cdc\ncreated +table cdc\.heartbeat\n/);
    assert.match(printed, /^granted +REPLICATION SLAVE on \*\.\* to cdc_replicator@%$/m);
    assert.match(printed, /^granted +SELECT on shop\.orders to cdc_replicator@%$/m);
    assert.doesNotMatch(printed, /IDENTIFIED|\*[0-9A-F]{40}/);
    assert.match((await cli.run('prepare')).printed, /^present +database cdc\n[^]*\nnothing to do$/);
    assert.deepEqual(await doctor(), []);
  });

  test('the server is killed (kill -9) amid writes and started again: every row that is there has come, once', async () => {
    await cli.run('apply');
    await waitForStreaming(client, name, limit);
    const acknowledged: number[] = [];
    const writing = (async () => {
      const connection = await createConnection({ ...server.login(rootUser).connection });
      connection.on('error', () => undefined);
      try {
        for (let id = 1000; ; id += 1) {
          await connection.query(`INSERT INTO shop.orders VALUES (${id}, 'amid')`);
          acknowledged.push(id);
        }
      } catch {
        // The server is gone.
      } finally {
        connection.destroy();
      }
    })();
    await observer.until(
      () => created().length >= 20,
      () => `${created().length} rows`,
    );
    await server.kill();
    await writing;
    server = await own.start(server.location.port, durable);
    await server.query("INSERT INTO shop.orders VALUES (500, 'after')");
    await observer.until(
      () => created().includes(500),
      () => `${created().length} rows, the last not among them`,
      60_000,
    );
    const rows = (await inTable()).filter((id) => id >= 500);
    assert.ok(acknowledged.every((id) => rows.includes(id)));
    assert.deepEqual(
      created().toSorted((a, b) => a - b),
      rows.toSorted((a, b) => a - b),
    );
  });

  test('its heartbeat waits for a lock: Connect calls it RUNNING, doctor tells that it halts', async () => {
    const request = await doctorRequest(config, folder, ['log']);
    if (request.dialect !== 'mariadb') throw new TypeError('not a MariaDB');
    const look = async (): Promise<Report> => examine({ ...request, log: { ...request.log, warnHeartbeatMs: 1000 } });
    const beatIsLate = async (): Promise<boolean> =>
      (await server.query('SELECT 1 FROM cdc.heartbeat WHERE beat_at < CURRENT_TIMESTAMP(6) - INTERVAL 4 SECOND')).length === 1;
    const beats = async (): Promise<boolean> =>
      (await server.query('SELECT 1 FROM cdc.heartbeat WHERE beat_at > CURRENT_TIMESTAMP(6) - INTERVAL 1 SECOND')).length === 1;
    await waitFor(beats, { ...limit, describe: 'it beats' });
    assert.deepEqual(briefly(await look()), []);
    const { host, port } = server.location;
    const holder = await createConnection({ host, port, user: owner.user, password: owner.password });
    try {
      // Whoever reads it goes on; the connector's UPDATE waits.
      await holder.query('LOCK TABLES cdc.heartbeat READ');
      await waitFor(beatIsLate, { ...limit, describe: 'its last heartbeat is 4 s old' });
      const report = await look();
      assert.deepEqual(briefly(report), [`error CONNECTOR_STALLED ${name}`]);
      assert.match(
        findingOf(report, 'CONNECTOR_STALLED')?.cause ?? '',
        /shows RUNNING .* its last heartbeat in the source is [\d.]+ s old \(one is due every 1\.0 s\)/,
      );
    } finally {
      await holder.end();
    }
    await waitFor(beats, { ...limit, describe: 'it beats again' });
    assert.deepEqual(briefly(await look()), []);
  });

  test('a position of another server, and binlog purged behind a stopped connector: doctor, status, guard and apply say so; reset begins again', async () => {
    assert.deepEqual(await doctor(), []);
    await cli.run('stop', name);
    const isStopped = async (): Promise<boolean> => {
      const status = await client.status(name);
      return status?.connector.state === 'STOPPED' && status.tasks.length === 0;
    };
    await waitFor(isStopped, { ...limit, describe: 'the connector is stopped' });
    // Not before it stands: its next heartbeat would carry the new id.
    const foreign = `unknown BINLOG_POSITION_UNKNOWN ${name}`;
    await server.query('SET GLOBAL server_id = 7');
    assert.ok((await doctor()).includes(foreign));
    await server.query('SET GLOBAL server_id = 1');
    assert.ok(!(await doctor()).includes(foreign));
    await server.query("INSERT INTO shop.orders VALUES (3000, 'lost')");
    await server.query('FLUSH BINARY LOGS');
    const [[newest] = []] = await server.query('SHOW MASTER STATUS');
    // The server keeps a file in silence while somebody reads it (it notices late that the connector has gone), or a crash would need it.
    const purge = async (): Promise<boolean> => {
      await server.query(`PURGE BINARY LOGS TO '${newest}'`);
      return (await server.query('SHOW BINARY LOGS')).length === 1;
    };
    await waitFor(purge, { ...limit, describe: 'the binlog is purged' });
    const { printed, exitCode } = await cli.run('status');
    assert.match(printed, /LOSS: the server has no binlog file/);
    assert.equal(exitCode, 1);
    assert.deepEqual(await doctor(), [`error BINLOG_LOST ${name}`, `warning CONNECTOR_HALTED ${name}`]);
    await assert.rejects(cli.run('apply'), { code: 'CONNECTOR_EVENTS_LOST' });
    const guard = await cli.run('watch', '--once');
    assert.match(guard.printed, /ERROR loss: the server has no binlog file/);
    assert.equal(guard.exitCode, 1);
    await cli.run('offsets', 'reset', name);
    await cli.run('resume', name);
    await observer.until(
      () => events().some(({ op, after: row }) => op === 'r' && row?.['id'] === 3000),
      () => 'the row that the binlog had lost, by the snapshot',
      60_000,
    );
    await waitForStreaming(client, name, limit);
    await server.query("INSERT INTO shop.orders VALUES (4000, 'again')");
    await observer.until(
      () => created().includes(4000),
      () => 'a row after the snapshot',
    );
    const rows = await inTable();
    const last = new Set(events().map(({ after: row }) => Number(row?.['id'])));
    assert.deepEqual(
      rows.filter((id) => !last.has(id)),
      [],
    );
    assert.deepEqual(await doctor(), []);
  });

  test('offsets reset on a connector that runs: it reads again by itself, and is resumed', async () => {
    const before1 = timesRead();
    assert.equal((await cli.run('offsets', 'reset', name)).printed, `${name}: position forgotten; resumed`);
    await observer.until(
      () => timesRead() === before1 + 1,
      () => 'row 1 read again',
      60_000,
    );
  });

  test('prepare --undo takes tables and rights back', async () => {
    await deleteConnector(client, name, undefined, { forgetPosition: true });
    const { printed } = await cli.run('prepare', '--undo');
    assert.match(printed, /^removed +table cdc\.heartbeat$/m);
    assert.match(printed, /^removed +REPLICATION SLAVE on \*\.\* from cdc_replicator@%$/m);
    assert.deepEqual(await server.query(`SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'cdc'`), [['0']]);
  });
});
