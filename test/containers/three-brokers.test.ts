import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import kafkajs from 'kafkajs';
import { comparisonFromConfig, runComparison } from '#comparison/index.ts';
import { runWorkload } from '#legacy-db/index.ts';
import { silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { assertNothingLostOrDoubled } from '#test/support/both-strategies.ts';
import { startCompose, type ComposeProject } from '#test/support/compose.ts';

const skip = process.env['TEST_NIGHTLY'] === undefined ? 'takes minutes: set TEST_NIGHTLY=1' : false;
const brokersFile = join(import.meta.dirname, '..', '..', 'containers', 'three-brokers.env');

describe('docker compose with three brokers', { skip }, () => {
  const signal = AbortSignal.timeout(60 * 60_000);
  let project: ComposeProject;
  let config: PipelineConfig;

  before(async () => {
    const [KAFKA_PORT, KAFKA_2_PORT, KAFKA_3_PORT] = [await getPort(), await getPort(), await getPort()].map(String);
    assert.ok(KAFKA_PORT && KAFKA_2_PORT && KAFKA_3_PORT);
    const KAFKA_BROKERS = [KAFKA_PORT, KAFKA_2_PORT, KAFKA_3_PORT].map((port) => `localhost:${port}`).join(',');
    const variables = { KAFKA_PORT, KAFKA_2_PORT, KAFKA_3_PORT, KAFKA_BROKERS, SETUP_LEDGER: 'yes' };
    project = await startCompose({ signal, envFiles: [brokersFile], variables });
    config = await project.config();
  });
  after(() => project[Symbol.asyncDispose]());

  test('every partition is on three brokers and acknowledged by two at least, those of Kafka and of Connect too', async () => {
    const topics = await describeTopics(config);
    assert.ok(topics.length > 12, `${topics.length} topics`);
    for (const name of ['query.public.orders', 'log.public.orders', 'connect-offsets', '__transaction_state'])
      assert.ok(
        topics.some((topic) => topic.name === name),
        name,
      );
    assert.deepEqual(
      topics.filter(({ replicas, acknowledged }) => replicas !== 3 || acknowledged !== '2'),
      [],
    );
  });

  test('the leader of a partition killed under load: a replica in sync takes over, nothing is lost or doubled', async () => {
    const topic = 'query.public.orders';
    const [partition] = await describeTopic(config, topic);
    assert.equal(partition?.isr.length, 3, 'replicas in sync');
    const killed = partition.leader;
    await underLoad(12, async () => {
      await project.compose('kill', serviceOf(killed));
      await waitFor(async () => ((await describeTopic(config, topic).catch(() => []))[0]?.leader ?? killed) !== killed, {
        signal,
        timeoutMs: 60_000,
        describe: 'another leader',
      });
    });
    await project.compose('start', serviceOf(killed));
    // Where a broker starts its port may be open before it answers.
    await waitFor(async () => (await describeTopic(config, topic).catch(() => []))[0]?.isr.length === 3, {
      signal,
      timeoutMs: 90_000,
      describe: 'the restarted broker is in sync again',
    });
  });

  test('with two brokers gone writes wait and say so; what committed meanwhile comes afterwards, once', async () => {
    await underLoad(6, async () => {
      const said = (await project.compose('logs', '--no-color', 'poller')).length;
      const since = async (): Promise<string> => (await project.compose('logs', '--no-color', 'poller')).slice(said);
      await project.compose('kill', 'kafka-2', 'kafka-3');
      await waitFor(async () => (await since()).includes('KAFKA_'), {
        signal,
        timeoutMs: 90_000,
        intervalMs: 1000,
        describe: 'the poller says that it waits for Kafka',
      });
      await project.compose('start', 'kafka-2', 'kafka-3');
    });
  });

  // Longer than the 60 s (transaction.timeout.ms) after which Kafka ends the transaction that Connect has open, and so fails its task for good,
  // unless Connect has started a new one by then: the guard's line says which it was.
  test('with two brokers gone for longer than a transaction may be open the connector comes back, by the guard if need be; nothing is lost or doubled', async (t) => {
    const since = new Date().toISOString();
    await underLoad(8, async () => {
      await project.compose('kill', 'kafka-2', 'kafka-3');
      await delay(90_000);
      await project.compose('start', 'kafka-2', 'kafka-3');
    });
    t.diagnostic(await project.compose('logs', '--no-color', '--no-log-prefix', '--since', since, 'guard'));
  });

  /** A workload, a fault from its second second on, and the ledger's word afterwards. */
  async function underLoad(seconds: number, fault: () => Promise<void>): Promise<void> {
    const application = config.legacyDb?.roles.application;
    assert.ok(application && config.legacyDb);
    const { host, port, database } = config.legacyDb;
    const input = { ...comparisonFromConfig(config, silentLogger), signal, latencyLimitMs: 60_000, catchUpTimeoutMs: 180_000 };
    await project.explained(async () => {
      const report = await runComparison(input, async () => {
        const load = runWorkload({ application: { host, port, database, ...application }, seconds, rate: 25, seed: 7, writers: 4, signal });
        await delay(2000);
        await fault();
        return await load;
      });
      assertNothingLostOrDoubled(report);
    });
  }
});

function serviceOf(node: number): string {
  return node === 1 ? 'kafka' : `kafka-${node}`;
}

/** Leader and replicas in sync of each partition, by node id. */
function describeTopic(config: PipelineConfig, topic: string): Promise<readonly { leader: number; isr: readonly number[] }[]> {
  return withAdmin(config, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return (topics[0]?.partitions ?? []).toSorted((a, b) => a.partitionId - b.partitionId);
  });
}

/** Of every topic the fewest replicas of a partition, and `min.insync.replicas` as it is in force. */
function describeTopics(config: PipelineConfig): Promise<readonly { name: string; replicas: number; acknowledged: string | undefined }[]> {
  return withAdmin(config, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata();
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map(({ name }) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames: ['min.insync.replicas'] })),
    });
    return topics.map(({ name, partitions }) => ({
      name,
      replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
      acknowledged: resources.find(({ resourceName }) => resourceName === name)?.configEntries[0]?.configValue,
    }));
  });
}

async function withAdmin<T>({ kafka: { brokers } }: PipelineConfig, work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
  const client = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING, retry: { retries: 2 } });
  const admin = client.admin();
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}
