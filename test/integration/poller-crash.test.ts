import assert from 'node:assert/strict';
import { test } from 'node:test';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { spawnPoller, untilPublished } from '#test/support/poller.ts';
import { assertExact } from '#test/support/published.ts';
import { createRaceTable } from '#test/support/race.ts';
import { uniqueName } from '#test/support/stack.ts';

/**
 * Random moments seldom meet the few milliseconds that matter. Here the poller is killed at the very moment when its events have become
 * visible: whatever it writes after them, in a transaction of its own, is then missing.
 */
test('killed whenever its events have just been seen, in the middle of its load and between polls: nothing lost, nothing twice', async () => {
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  await createRaceTable(database);
  await database.query('INSERT INTO race (value) SELECT md5(n::text) FROM generate_series(1, 70000) AS n');
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
  let killedInLoad = 0;
  for (let kill = 0; kill < 8; kill += 1) {
    await using poller = await spawnPoller(config);
    const seen = observer.messages.length;
    const inLoad = seen < 70_000;
    if (!inLoad) await database.query("INSERT INTO race (value) VALUES ('seen and dead')");
    await observer.until(
      () => observer.messages.length > seen,
      () => `events after the ${seen} seen so far; the poller says:\n${poller.log()}`,
    );
    await poller.kill('SIGKILL');
    if (inLoad && observer.messages.length < 70_000) killedInLoad += 1;
  }
  assert.ok(killedInLoad > 0, 'no kill met the load half-way');
  await using poller = await spawnPoller(config);
  await untilPublished(kafka, config, database, 60_000);
  assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
  await assertExact(kafka, database, 'race', topic);
});
