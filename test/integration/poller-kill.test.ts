import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { testKafka } from '#test/support/kafka.ts';
import type { KafkaConfig, PipelineConfig } from '#pipeline/index.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig, type TestPollerSettings } from '#test/support/pipeline-config.ts';
import { spawnPoller, untilPublished, untilStatus } from '#test/support/poller.ts';
import { assertExact } from '#test/support/published.ts';
import { createRaceTable, race } from '#test/support/race.ts';
import { uniqueName } from '#test/support/stack.ts';

async function clientConfig(
  database: LegacyDatabase,
  client: KafkaConfig['client'],
  settings: TestPollerSettings,
): Promise<PipelineConfig> {
  const config = await testPipelineConfig(database, settings);
  return { ...config, kafka: { ...config.kafka, client } };
}

// The second client is killed less often: what differs is how it sends, not when.
for (const [client, kills] of [
  ['kafkajs', 10],
  ['platformatic', 3],
] as const) {
  suite(client, () => {
    test('killed again and again under load, from its load on: no final row version is lost and none is published twice', async () => {
      const kafka = await testKafka();
      await using database = await createLegacyDatabase({ empty: true });
      await createRaceTable(database);
      // Enough for several transactions of the load, so that kills meet it half-way.
      await database.query('INSERT INTO race (value) SELECT md5(n::text) FROM generate_series(1, 60000) AS n');
      const name = uniqueName('kill');
      // Taking over, a restart polls at once; in a group it would first wait until the killed member's session has timed out.
      const config = await clientConfig(database, client, {
        name,
        sharing: 'takeover',
        pollIntervalMs: 20,
        pageRows: 500,
        tables: [{ table: 'public.race' }],
      });
      const over = new AbortController();
      const load = (async () => {
        while (!over.signal.aborted) await race(database, { writers: 4, seconds: 1 });
      })();
      for (let kill = 0; kill < kills; kill += 1) {
        await using poller = await spawnPoller(config);
        // A start takes about half a second: some kills come while it takes over, some amid pages, some between polls.
        await delay(400 + Math.random() * 900);
        await poller.kill('SIGKILL');
      }
      over.abort();
      await load;
      await using poller = await spawnPoller(config);
      await untilPublished(kafka, config, database, 60_000);
      assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
      await assertExact(kafka, database, 'race', `${name}.public.race`);
    });

    test('of two processes of one poller name the newer takes over and the older ends with PRODUCER_FENCED', async () => {
      const kafka = await testKafka();
      await using database = await createLegacyDatabase({ empty: true });
      await createRaceTable(database);
      const name = uniqueName('takeover');
      const config = await clientConfig(database, client, {
        name,
        sharing: 'takeover',
        pollIntervalMs: 20,
        tables: [{ table: 'public.race' }],
      });
      await using older = await spawnPoller(config);
      await untilStatus(config, ({ phase }) => phase === 'polling', 60_000);
      await using newer = await spawnPoller(config);
      // An idle poller writes nothing, and so does not learn that it was replaced.
      const over = new AbortController();
      const load = (async () => {
        while (!over.signal.aborted) await race(database, { writers: 2, seconds: 1 });
      })();
      const code = await older.exited;
      over.abort();
      assert.equal(code, 75, older.log());
      assert.match(older.log(), /error PRODUCER_FENCED: .*\n {2}remedy: /);
      await load;
      await untilPublished(kafka, config, database, 60_000);
      assert.equal(newer.child.exitCode, null, newer.log());
      assert.equal(await newer.kill('SIGTERM'), 0, newer.log());
      await assertExact(kafka, database, 'race', `${name}.public.race`);
    });
  });
}
