import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { comparisonFromConfig, runComparison } from '#comparison/index.ts';
import { connectKafka } from '#kafka/index.ts';
import { runWorkload, seed } from '#legacy-db/index.ts';
import { pipelineSchema, silentLogger, type KafkaConfig, type PipelineConfig } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { resetStack, startStack, waitFor, type StackState } from '#stack/index.ts';
import { assertNothingLostOrDoubled, bothStrategiesConfig, models } from '#test/support/both-strategies.ts';
import { startTestConnector, type TestConnector } from '#test/support/connect.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { spawnPoller, untilPublished, type PollerProcess } from '#test/support/poller.ts';
import { createReadDatabase } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';

/** A stack of this file's own, with Kafka on three nodes: every partition has three replicas, a write counts when two have it. */
const skip = process.env['TEST_NIGHTLY'] === undefined ? 'takes minutes: set TEST_NIGHTLY=1' : false;

describe('three brokers', { skip }, () => {
  const signal = AbortSignal.timeout(30 * 60_000);
  let folder: string;
  let stack: StackState;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cdc-three-brokers-'));
    stack = await startStack({ folder, brokers: 3, throwaway: true, signal });
    // From here on the test support works on this stack.
    process.env['CDC_TEST_STACK'] = folder;
  });
  after(async () => {
    await resetStack(folder);
    await rm(folder, { recursive: true, force: true });
  });

  for (const client of ['kafkajs', 'platformatic'] as const) describe(client, () => withClient(client));

  function withClient(client: KafkaConfig['client']): void {
    const resources = new AsyncDisposableStack();
    let database: LegacyDatabase;
    let connector: TestConnector;
    let config: PipelineConfig;
    let poller: PollerProcess;
    let kafka: KafkaConfig;

    before(async () => {
      kafka = pipelineSchema.shape.kafka.parse({ brokers: stack.kafka.brokers, client });
      database = resources.use(await createLegacyDatabase({ ledger: true }));
      const read = resources.use(await createReadDatabase());
      await seed(database.owner, { customers: 40, products: 20, orders: 60, seed: 1 });
      connector = resources.use(await startTestConnector({ database }));
      await connector.streaming();
      config = bothStrategiesConfig({ database, read, kafka, name: uniqueName('three'), connectorPrefix: connector.prefix });
      for (const schema of models) await migrateOrders(read.owner, schema);
      poller = resources.use(await spawnPoller(config));
      await untilPublished(connectKafka(kafka, silentLogger), config, database);
      resources.use(await startReadModel({ config, logger: silentLogger, signal }));
    });
    after(() => resources.disposeAsync());

    test('killed under load, the leader of a partition is followed by a replica in sync: nothing is lost or doubled', async () => {
      const topic = `${config.poller?.topicPrefix ?? ''}.public.orders`;
      const [partition] = await describeTopic(kafka, topic);
      assert.deepEqual(partition?.isr.length, 3, 'replicas in sync');
      const killed = partition.leader;
      const input = { ...comparisonFromConfig(config, silentLogger), signal, latencyLimitMs: 60_000 };
      const report = await runComparison(input, async () => {
        const load = runWorkload({ application: database.application, seconds: 8, rate: 30, seed: 7, writers: 4, signal });
        await delay(2000);
        killBroker(stack, killed);
        await waitFor(async () => ((await describeTopic(kafka, topic).catch(() => []))[0]?.leader ?? killed) !== killed, {
          signal,
          timeoutMs: 30_000,
          describe: 'another leader',
        });
        return await load;
      });
      assertNothingLostOrDoubled(report);
      assert.equal(poller.child.exitCode, null, 'the poller runs on');
      stack = await startStack({ folder, signal });
      await waitFor(async () => (await describeTopic(kafka, topic))[0]?.isr.length === 3, {
        signal,
        timeoutMs: 30_000,
        describe: 'the restarted broker is in sync again',
      });
    });

    test('with two brokers gone writes wait and say so; when they are back everything that committed meanwhile comes, once', async () => {
      const input = { ...comparisonFromConfig(config, silentLogger), signal, latencyLimitMs: 60_000 };
      const report = await runComparison(input, async () => {
        const said = poller.log().length;
        killBroker(stack, 2);
        killBroker(stack, 3);
        const statistics = await runWorkload({ application: database.application, seconds: 4, rate: 20, seed: 8, writers: 4, signal });
        await waitFor(() => /KAFKA_/.test(poller.log().slice(said)), {
          signal,
          timeoutMs: 60_000,
          describe: () => `the poller says that it waits for Kafka; it said: ${poller.log().slice(said)}`,
        });
        stack = await startStack({ folder, signal });
        return statistics;
      });
      assertNothingLostOrDoubled(report);
      assert.equal(poller.child.exitCode, null, 'the poller runs on');
    });
  }
});

/** Leader and replicas in sync of each partition, by node id. */
async function describeTopic({ brokers }: KafkaConfig, topic: string): Promise<readonly { leader: number; isr: readonly number[] }[]> {
  const client = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING, retry: { retries: 2 } });
  const admin = client.admin();
  try {
    await admin.connect();
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const partitions = topics[0]?.partitions ?? [];
    return partitions.toSorted((a, b) => a.partitionId - b.partitionId);
  } finally {
    await admin.disconnect();
  }
}

/** Kill -9, as a machine that dies. */
function killBroker(stack: StackState, node: number): void {
  const name = node === 1 ? 'kafka' : `kafka-${node}`;
  const broker = stack.processes.find((process) => process.name === name);
  assert.ok(broker, `no process ${name}`);
  process.kill(broker.pid, 'SIGKILL');
}
