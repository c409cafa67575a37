import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { applyConnector, deleteConnector, snapshotTables, waitForStreaming } from '#connectors/index.ts';
import { readBinlogState } from '#connectors/mariadb/lag.ts';
import { mariadbConnectionOptions } from '#pipeline/index.ts';
import { removeTopics, testConnect } from '#test/support/connect.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { asRoot, prepareMariadbConnector } from '#test/support/mariadb-connector.ts';

/** Each right that connectors/sql/mariadb gives, and what is said without it. `orders` stands for the captured table. */
const rights = [
  ['RELOAD ON *.*', /LOCK TABLES/],
  ['REPLICATION SLAVE ON *.*', /REPLICATION SLAVE/],
  ['BINLOG MONITOR ON *.*', /BINLOG MONITOR/],
  ['SELECT ON orders', /unseen: \w+\.orders$/],
  ['SELECT ON cdc.heartbeat', /denied .*heartbeat/],
  ['UPDATE (beat_at) ON cdc.heartbeat', /UPDATE command denied/],
  // Debezium fails on the signal of another connector of this server, whose table it may not see.
  ['INSERT ON cdc.`signal`', /unseen: cdc\.signal$|event for table cdc\.signal whose schema/],
] as const;

suite('Debezium on MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test("the connector's user has the rights it needs and not one more: any one taken away is reported", async (t) => {
    const client = await testConnect();
    await using scene = await createMariadbScene(['CREATE TABLE orders (id bigint PRIMARY KEY)', 'INSERT INTO orders VALUES (1)'], {
      tables: [{ table: 'orders', mode: 'incrementing' }],
    });
    const { host, port } = scene.config.legacyDb;
    const table = `${scene.database}.orders`;
    /** Captures, reads again, and says what is wrong. */
    const outcomeWithout = async (right: string | null): Promise<string> => {
      await using prepared = await prepareMariadbConnector(scene.database, ['orders'], { 'errors.max.retries': '0' });
      const { file, replicator } = prepared;
      const { name, config } = file;
      if (right !== null) {
        await asRoot(async (run) => {
          await run(`REVOKE ${right.replace('ON orders', `ON ${table}`)} FROM ${name}@'127.0.0.1'`);
        });
      }
      const source = { dialect: 'mariadb', connection: mariadbConnectionOptions({ host, port }, replicator, 'test') } as const;
      try {
        await applyConnector(client, file);
        await waitForStreaming(client, name, { timeoutMs: 60_000 });
        const { unseen } = await readBinlogState(source, config);
        if (unseen.length > 0) return `unseen: ${unseen.join()}`;
        await snapshotTables({ name, config, client, kafka: scene.kafka, source: source }, { tables: [table] }, { silenceMs: 60_000 });
        return 'well';
      } catch (error) {
        return String(error);
      } finally {
        if ((await client.config(name)) !== null) await deleteConnector(client, name, undefined, { forgetPosition: true });
        await removeTopics(name);
      }
    };
    assert.equal(await outcomeWithout(null), 'well');
    for (const [right, says] of rights) {
      await t.test(right, async () => {
        assert.match(await outcomeWithout(right), says);
      });
    }
  });
});
