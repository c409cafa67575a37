import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { observeTopics } from '#test/support/kafka.ts';
import { killWhenSeen } from '#test/support/kill-when-seen.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { spawnPoller } from '#test/support/poller.ts';
import { uniqueName } from '#test/support/stack.ts';

/** Gives how many kills met the load of so many rows in its middle. */
async function crashAgainAndAgain(loaded: number): Promise<number> {
  await using scene = await createMariadbScene(
    [
      `CREATE TABLE orders (id bigint PRIMARY KEY AUTO_INCREMENT, value varchar(50),
         updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), KEY (updated_at, id))`,
      `INSERT INTO orders (value, updated_at) SELECT MD5(seq), '2026-01-01' + INTERVAL seq DIV 7 SECOND FROM seq_1_to_${loaded}`,
    ],
    { pageRows: 500, tables: [{ table: 'orders', overlapMs: 60_000 }] },
  );
  await using observer = await observeTopics(scene.kafka, [scene.topic('orders')], uniqueName('group'));
  const inLoad = await killWhenSeen(observer, scene.config, 5, () => scene.query("INSERT INTO orders (value) VALUES ('seen and dead')"));
  await using poller = await spawnPoller(scene.config);
  await scene.query("INSERT INTO orders (value) VALUES ('the end')");
  const [[count = null] = []] = await scene.query('SELECT COUNT(*) FROM orders');
  await observer.until(
    () => observer.messages.length >= Number(count),
    () => `${observer.messages.length} of ${count} rows; the poller says:\n${poller.log()}`,
  );
  const events = await scene.published('orders');
  assert.equal(new Set(events.map(({ key }) => key)).size, Number(count), 'rows that were never published');
  assert.equal(events.length, Number(count), 'rows that were published twice');
  assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
  return inLoad;
}

/** Killed at the very moment when its events have become visible: what it wrote after them, in a transaction of its own, would be missing. */
suite('MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('kill -9 in the middle of the load and between polls: every row once', async (t) => {
    for (let rows = 45_000; ; rows *= 2) {
      const inLoad = await crashAgainAndAgain(rows);
      t.diagnostic(`${inLoad} kills met the load of ${rows} rows`);
      if (inLoad > 0) return;
      // A busy machine may see the first events when the load is over: then a longer one.
      assert.ok(rows < 300_000, 'no kill met the load half-way');
    }
  });
});
