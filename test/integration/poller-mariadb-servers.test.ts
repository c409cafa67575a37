import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import getPort from 'get-port';
import type { MariadbQuery } from '#connectors/mariadb/mariadb-source.ts';
import { pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { runPoller } from '#cdc-poller/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import { whyNoMariadb } from '#test/support/mariadb.ts';
import { createOwnMariadb, rootUser } from '#test/support/own-mariadb.ts';
import { readPublished } from '#test/support/published.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

suite('MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('a restored backup and another server are refused; the server itself goes on after a restart', async () => {
    const name = uniqueName('restored');
    const { kafka } = await testStack();
    const configAt = (port: number): PipelineConfig =>
      pipelineSchema.parse({
        legacyDb: { dialect: 'mariadb', host: '127.0.0.1', port, database: 'shop', roles: { poller: rootUser } },
        kafka: { brokers: kafka.brokers, partitions: 1, replicationFactor: 1 },
        poller: { name, topicPrefix: name, pollIntervalMs: 20, tables: [{ table: 'shop.orders' }] },
      });
    const signal = AbortSignal.timeout(120_000);
    const poll = (port: number): Promise<void> => runPoller({ config: configAt(port), logger: silentLogger, signal, once: true });
    const published = async (): Promise<number> => (await readPublished(await testKafka(), `${name}.shop.orders`)).length;
    await using server = await createOwnMariadb();
    const [port, otherPort] = [await getPort(), await getPort()];
    await server.run(port, async (query) => {
      await query('CREATE DATABASE shop');
      await query(
        'CREATE TABLE shop.orders (id int PRIMARY KEY AUTO_INCREMENT, updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6), KEY (updated_at, id))',
      );
      await query('INSERT INTO shop.orders VALUES ()');
      await poll(port);
    });
    assert.equal(await published(), 1);
    await server.backUp();
    await server.run(port, async (query) => {
      await query('INSERT INTO shop.orders VALUES ()');
      await poll(port);
    });
    assert.equal(await published(), 2);
    await server.run(otherPort, () =>
      assert.rejects(poll(otherPort), {
        code: 'SOURCE_CHANGED',
        message: /belongs to system identifier .*; the server is system identifier/,
      }),
    );
    await server.restore();
    await server.run(port, () =>
      assert.rejects(poll(port), {
        code: 'SOURCE_CHANGED',
        message: /is at 0-1-\d+,innodb-\d+ of the server's log, which has gone back to 0-1-\d+/,
      }),
    );
  });

  test('a restored backup of a server without a binlog is refused', async () => {
    const name = uniqueName('restored');
    const { kafka } = await testStack();
    await using server = await createOwnMariadb();
    const port = await getPort();
    const poll = (): Promise<void> => {
      const config = pipelineSchema.parse({
        legacyDb: { dialect: 'mariadb', host: '127.0.0.1', port, database: 'shop', roles: { poller: rootUser } },
        kafka: { brokers: kafka.brokers, partitions: 1, replicationFactor: 1 },
        poller: { name, topicPrefix: name, pollIntervalMs: 20, tables: [{ table: 'shop.orders' }] },
      });
      return runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true });
    };
    const withServer = async (work: (query: MariadbQuery) => Promise<void>): Promise<void> => {
      await using running = await server.start(port, ['--skip-log-bin', '--innodb-flush-log-at-trx-commit=1']);
      await work(running.query);
    };
    await withServer(async (query) => {
      await query('CREATE DATABASE shop');
      await query(
        'CREATE TABLE shop.orders (id int PRIMARY KEY AUTO_INCREMENT, updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6), KEY (updated_at, id))',
      );
      await query('INSERT INTO shop.orders VALUES ()');
      await poll();
    });
    await server.backUp();
    await withServer(async (query) => {
      for (let row = 0; row < 20; row += 1) await query('INSERT INTO shop.orders VALUES ()');
      await poll();
    });
    await withServer(poll);
    await server.restore();
    await withServer(async (query) => {
      await query('INSERT INTO shop.orders VALUES ()');
      await assert.rejects(poll, {
        code: 'SOURCE_CHANGED',
        message: /is at innodb-\d+ of the server's log, which has gone back to innodb-\d+/,
      });
    });
  });
});
