import assert from 'node:assert/strict';
import { test } from 'node:test';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { killWhenSeen } from '#test/support/kill-when-seen.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { spawnPoller, untilPublished } from '#test/support/poller.ts';
import { assertExact } from '#test/support/published.ts';
import { createRaceTable } from '#test/support/race.ts';
import { uniqueName } from '#test/support/stack.ts';

/** Gives how many kills met the load of so many rows in its middle. */
async function crashAgainAndAgain(rows: number): Promise<number> {
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  await createRaceTable(database);
  await database.query(`INSERT INTO race (value) SELECT md5(n::text) FROM generate_series(1, ${rows}) AS n`);
  const name = uniqueName('crash');
  const topic = `${name}.public.race`;
  const config = await testPipelineConfig(database, {
    name,
    pollIntervalMs: 20,
    pageRows: 500,
    sharing: 'takeover',
    tables: [{ table: 'public.race' }],
  });
  // The topic must be there to be observed.
  await using admin = await kafka.admin();
  await admin.ensureTopics([{ topic, partitions: 3, replicationFactor: 1 }]);
  await using observer = await observeTopics(kafka, [topic], uniqueName('group'));
  const inLoad = await killWhenSeen(observer, config, 8, () => database.query("INSERT INTO race (value) VALUES ('seen and dead')"));
  await using poller = await spawnPoller(config);
  await untilPublished(kafka, config, database);
  assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
  await assertExact(kafka, database, 'race', topic);
  return inLoad;
}

/**
 * Random moments seldom meet the few milliseconds that matter. Here the poller is killed at the very moment when its events have become
 * visible: whatever it writes after them, in a transaction of its own, is then missing.
 */
test('killed whenever its events have just been seen, in the middle of its load and between polls: nothing lost, nothing twice', async (t) => {
  for (let rows = 70_000; ; rows *= 2) {
    const inLoad = await crashAgainAndAgain(rows);
    t.diagnostic(`${inLoad} kills met the load of ${rows} rows`);
    if (inLoad > 0) return;
    // A busy machine may see the first events when the load is over: then a longer one.
    assert.ok(rows < 500_000, 'no kill met the load half-way');
  }
});
