import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchConnectors } from '#connectors/guard/watch.ts';
import { pipelineSchema } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { startOwnRegistry } from '#test/support/own-registry.ts';
import { uniqueName } from '#test/support/stack.ts';

const limitMs = 180_000;

test('the registry is away: the task fails and stays so until the guard restarts it; no row is lost, none comes twice', async (t) => {
  const wait = { signal: t.signal, timeoutMs: limitMs };
  await using registry = await startOwnRegistry();
  await using db = await createLegacyDatabase();
  await using connector = await startTestConnector({
    database: db,
    file: 'legacy-orders-avro.json',
    overrides: Object.fromEntries(
      ['key', 'value'].map((side) => [
        `${side}.converter.apicurio.registry.url`,
        registry.config.url.replace('/apis/ccompat/v7', '/apis/registry/v2'),
      ]),
    ),
  });
  await connector.streaming();
  await registry.kill();
  await db.query(`INSERT INTO customers (email, name, tier, created_at) VALUES ('a@example.org', 'A', 'gold', now())`);
  const failed = async (): Promise<boolean> =>
    (await connector.client.status(connector.name, t.signal))?.tasks.some(({ state }) => state === 'FAILED') ?? false;
  await waitFor(failed, { ...wait, describe: 'the task has given up' });

  // Before the guard: it gives up after so many restarts, and a registry may take long to come.
  await registry.start();
  const guard = new AbortController();
  const events: string[] = [];
  const policy = pipelineSchema.shape.connect
    .unwrap()
    .parse({ url: 'http://unused', guard: { intervalMs: 500, restartBackoffMs: 500 } }).guard;
  const watching = watchConnectors([{ name: connector.name, config: connector.config, client: connector.client, source: db.replicator }], {
    policy,
    onEvent: ({ event }) => events.push(event),
    signal: AbortSignal.any([guard.signal, t.signal]),
  });
  try {
    const kafka = await testKafka();
    await using admin = await kafka.admin();
    const topic = connector.topic('public.customers');
    await waitFor(async () => (await admin.listTopics()).includes(topic), { ...wait, describe: 'the topic of the row' });
    await using observer = await observeTopics(kafka, [topic], uniqueName('outage'));
    await observer.until(
      () => observer.messages.length >= 1,
      () => events.join(', '),
      limitMs,
    );
    assert.equal(observer.messages.length, 1);
    assert.ok(events.includes('restart'), events.join(', '));
  } finally {
    guard.abort();
    await watching;
  }
});
