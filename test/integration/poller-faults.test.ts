import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { connectKafka, type Kafka } from '#kafka/index.ts';
import { pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { createMuteProxy } from '#test/support/mute-proxy.ts';
import { spawnPoller, untilHorizon, type PollerProcess } from '#test/support/poller.ts';
import { readPublished, versionsOf } from '#test/support/published.ts';
import { startOwnStack, type OwnStack } from '#test/support/own-stack.ts';
import { uniqueName } from '#test/support/stack.ts';

/** Servers of this file's own, because it stops them. */
let own: OwnStack;
let kafka: Kafka;
let owner: Client;

before(async () => {
  own = await startOwnStack({ connect: false });
  kafka = connectKafka(configOf('unused', {}).kafka, silentLogger);
  owner = await connectOwner();
  await owner.query(`
    CREATE TABLE things (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE INDEX ON things (updated_at, id);
    GRANT SELECT ON things TO cdc_poller;`);
});

after(async () => {
  await owner.end();
  await own[Symbol.asyncDispose]();
});

async function connectOwner(): Promise<Client> {
  const { legacyServer, roles } = own.state();
  const client = new Client({ host: legacyServer.host, port: legacyServer.port, database: 'legacy', ...roles.owner });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const limit = { signal: new AbortController().signal, timeoutMs: 30_000 };

function configOf(name: string, kafkaSettings: Readonly<Record<string, unknown>>, databasePort?: number): PipelineConfig {
  const { kafka: broker, legacyServer, roles } = own.state();
  return pipelineSchema.parse({
    legacyDb: { host: legacyServer.host, port: databasePort ?? legacyServer.port, database: 'legacy', roles },
    kafka: { brokers: broker.brokers, partitions: 3, replicationFactor: 1, ...kafkaSettings },
    poller: { name, topicPrefix: name, pollIntervalMs: 20, statementTimeoutMs: 1000, tables: [{ table: 'public.things' }] },
  });
}

/** Every row that the table has was published, and no version twice. */
async function assertAllPublished(poller: PollerProcess, config: PipelineConfig): Promise<void> {
  const { rows } = await owner.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  try {
    await untilHorizon(kafka, config, BigInt(rows[0]?.xid ?? ''), 60_000);
  } catch (error) {
    throw new Error(`${String(error)}\n${poller.log()}`, { cause: error });
  }
  const versions = versionsOf(await readPublished(kafka, `${config.poller?.name}.public.things`));
  assert.equal(versions.length, new Set(versions).size, 'published twice');
  const { rows: final } = await owner.query<{ version: string }>(`SELECT format('{"id":%s}@%s', id, xmin) AS version FROM things`);
  assert.deepEqual(
    final.map(({ version }) => version).filter((version) => !versions.includes(version)),
    [],
    'never published',
  );
}

async function write(rows: number): Promise<void> {
  for (let row = 0; row < rows; row += 1) await owner.query("INSERT INTO things (value) VALUES ('x')");
}

async function untilLog(poller: PollerProcess, pattern: RegExp, timeoutMs = limit.timeoutMs): Promise<void> {
  await waitFor(async () => pattern.test(poller.log()), {
    ...limit,
    timeoutMs,
    describe: `${String(pattern)} in the log:\n${poller.log()}`,
  });
}

/** Ends on a signal, in less time than a supervisor would give it. */
async function endsSoon(poller: PollerProcess): Promise<void> {
  const ended = await Promise.race([poller.kill('SIGTERM'), delay(15_000, 'it lives on' as const, { ref: false })]);
  if (ended !== 0) poller.child.kill('SIGKILL');
  assert.equal(ended, 0, poller.log());
}

test('Kafka down at start, whenUnavailable exit: one error with address and remedy, no stack trace', async () => {
  await using poller = await spawnPoller(configOf(uniqueName('down'), { brokers: '127.0.0.1:1', whenUnavailable: 'exit' }));
  assert.equal(await poller.exited, 69, poller.log());
  assert.match(poller.log(), /error KAFKA_UNREACHABLE: .*127\.0\.0\.1:1.*\n {2}remedy: Start Kafka/);
  assert.doesNotMatch(poller.log(), /\n\s+at /);
});

test('Kafka down at start, whenUnavailable wait: it says so in one line, and begins when the broker is there', async () => {
  await write(20);
  await own.end('kafka', 'SIGTERM');
  const config = configOf(uniqueName('wait'), {});
  await using poller = await spawnPoller(config);
  await untilLog(poller, /KAFKA_UNREACHABLE/);
  assert.doesNotMatch(poller.log(), /\n\s+at /);
  await own.restart();
  await assertAllPublished(poller, config);
  await endsSoon(poller);
});

test('Kafka stopped and started again amid writes: the poller goes on by itself, nothing lost, nothing twice; one that gets a signal meanwhile ends', async () => {
  const config = configOf(uniqueName('kafka'), {});
  await using poller = await spawnPoller(config);
  await using leaver = await spawnPoller(configOf(uniqueName('leaver'), {}));
  await write(50);
  await assertAllPublished(poller, config);
  await untilLog(leaver, /tables of this process/);
  await own.end('kafka', 'SIGTERM');
  await write(50);
  await untilLog(leaver, /joining group .* again/);
  await endsSoon(leaver);
  await own.restart();
  await write(50);
  await assertAllPublished(poller, config);
  await endsSoon(poller);
});

test('Postgres killed and started again amid writes: the poller goes on by itself, nothing lost, nothing twice', async () => {
  const config = configOf(uniqueName('postgres'), {});
  await using poller = await spawnPoller(config);
  await write(50);
  await assertAllPublished(poller, config);
  await own.end('postgres-legacy', 'SIGQUIT');
  await own.restart();
  owner = await connectOwner();
  await write(50);
  await assertAllPublished(poller, config);
  await endsSoon(poller);
});

test('the connection cut by the DBA, again and again: nothing lost, nothing twice', async () => {
  const config = configOf(uniqueName('cut'), {});
  await using poller = await spawnPoller(config);
  const { legacyServer } = own.state();
  const dba = new Client({ host: legacyServer.host, port: legacyServer.port, database: 'legacy', ...legacyServer.superuser });
  await dba.connect();
  for (let cut = 0; cut < 5; cut += 1) {
    await write(20);
    await dba.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cdc_poller'");
  }
  await dba.end();
  await assertAllPublished(poller, config);
  await endsSoon(poller);
});

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`Kafka falls silent (${client}): the poller gives it up while it is, and goes on when it answers, nothing lost, nothing twice`, async () => {
    const config = configOf(uniqueName('silent'), { client, requestTimeoutMs: 2000 });
    await using poller = await spawnPoller(config);
    await write(50);
    await assertAllPublished(poller, config);
    const kafkaPid = own.pid('kafka');
    process.kill(kafkaPid, 'SIGSTOP');
    try {
      await write(50);
      await untilLog(poller, /KAFKA_UNREACHABLE/, 15_000);
    } finally {
      process.kill(kafkaPid, 'SIGCONT');
    }
    await write(50);
    await assertAllPublished(poller, config);
    await endsSoon(poller);
  });
}

test('the network loses the connection to Postgres without a word: it is given up, and the poller goes on over a new one', async () => {
  await using proxy = await createMuteProxy(own.state().legacyServer);
  const config = configOf(uniqueName('mute'), {}, proxy.port);
  await using poller = await spawnPoller(config);
  await write(50);
  await assertAllPublished(poller, config);
  proxy.mute();
  await write(50);
  await untilLog(poller, /LEGACY_DB_UNREACHABLE.*is lost/, 15_000);
  proxy.unmute();
  await write(50);
  await assertAllPublished(poller, config);
  await endsSoon(poller);
});
