import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { observeTopics } from '#test/support/kafka.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { spawnPoller } from '#test/support/poller.ts';
import { uniqueName } from '#test/support/stack.ts';

const loaded = 45_000;

/** Killed at the very moment when its events have become visible: what it wrote after them, in a transaction of its own, would be missing. */
suite('MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('kill -9 in the middle of the load and between polls: every row once', async () => {
    await using scene = await createMariadbScene(
      [
        `CREATE TABLE orders (id bigint PRIMARY KEY AUTO_INCREMENT, value varchar(50),
           updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), KEY (updated_at, id))`,
        `INSERT INTO orders (value, updated_at) SELECT MD5(seq), '2026-01-01' + INTERVAL seq DIV 7 SECOND FROM seq_1_to_${loaded}`,
      ],
      { pageRows: 500, tables: [{ table: 'orders', overlapMs: 60_000 }] },
    );
    await using observer = await observeTopics(scene.kafka, [scene.topic('orders')], uniqueName('group'));
    let inLoad = 0;
    for (let kill = 0; kill < 5; kill += 1) {
      await using poller = await spawnPoller(scene.config);
      const seen = observer.messages.length;
      if (seen >= loaded) await scene.query("INSERT INTO orders (value) VALUES ('seen and dead')");
      await observer.until(
        () => observer.messages.length > seen,
        () => `events after the ${seen} seen so far; the poller says:\n${poller.log()}`,
      );
      await poller.kill('SIGKILL');
      if (observer.messages.length < loaded) inLoad += 1;
    }
    assert.ok(inLoad > 0, 'no kill met the load half-way');
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
  });
});
