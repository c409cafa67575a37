import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pollerCommand } from '#cdc-poller/commands.ts';
import { runPoller } from '#cdc-poller/index.ts';
import { encodeHead } from '#cdc-poller/position/codec.ts';
import { positionTopic, readStoredTables } from '#cdc-poller/position/position-topic.ts';
import { examine } from '#doctor/examine.ts';
import type { Finding } from '#doctor/finding.ts';
import { doctorRequest } from '#doctor/request.ts';
import { CdcError, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { startPgbouncer, whyNoPgbouncer } from '#test/support/pgbouncer.ts';
import { createPollerScene, type PollerScene } from '#test/support/poller-scene.ts';
import { terminal } from '#test/support/terminal.ts';

/** What is between the poller and its source or its topics: doctor finds it with the code and the remedy that the poller's start has. */

const columns = '(id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT now())';
const codes: ReadonlySet<string> = new Set([
  'POOLER_BETWEEN',
  'KAFKA_UNREACHABLE',
  'TOPIC_UNFIT',
  'TOPIC_REPLACED',
  'POSITION_INVALID',
  'POSITION_INCOMPLETE',
]);

async function found(config: PipelineConfig): Promise<readonly Finding[]> {
  const { findings } = await examine(await doctorRequest(config, '/', ['query']));
  return findings.filter(({ code }) => codes.has(code));
}

const briefly = (findings: readonly Finding[]): readonly string[] =>
  findings.map(({ severity, code, subject }) => `${severity} ${code} ${subject.name}`);

async function refusalOf(config: PipelineConfig): Promise<CdcError> {
  const error: unknown = await runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true }).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CdcError, String(error));
  return error;
}

const once = (config: PipelineConfig): Promise<void> =>
  runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true });

/** The finding and the start's error are one. */
async function assertSame(config: PipelineConfig, [finding, ...more]: readonly Finding[]): Promise<void> {
  assert.deepEqual(briefly(more), []);
  const { code, message, remedy } = await refusalOf(config);
  assert.deepEqual([finding?.code, finding?.remedy, finding?.cause.toLowerCase()], [code, remedy, `${message}.`.toLowerCase()]);
}

async function deleteTopic({ kafka }: PollerScene, topic: string): Promise<void> {
  await using admin = await kafka.admin();
  await admin.deleteTopics([topic]);
  const gone = async (): Promise<boolean> => !(await admin.listTopics()).includes(topic);
  await waitFor(gone, { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, describe: `${topic} is gone` });
}

test('topics that tables would share: both before a first start; once one is polled, the other alone', async () => {
  await using scene = await createPollerScene(`CREATE TABLE "x y" ${columns}; CREATE TABLE plain ${columns}`, [{ table: 'public.*' }]);
  const { config } = scene;
  assert.deepEqual(briefly(await found(config)), []);
  await scene.query(`CREATE TABLE x_y ${columns}`);
  assert.deepEqual(briefly(await found(config)), ['error TOPIC_UNFIT public.x y', 'error TOPIC_UNFIT public.x_y']);
  await scene.query('DROP TABLE x_y');
  await once(config);
  await scene.query(`CREATE TABLE "x.y" ${columns}`);
  const later = await found(config);
  assert.deepEqual(briefly(later), ['error TOPIC_UNFIT public."x.y"']);
  await assertSame(config, later);
});

test('a topic that somebody else has, and that Kafka takes for the same', async () => {
  await using scene = await createPollerScene(`CREATE TABLE a_b ${columns}`, [{ table: 'public.a_b' }]);
  {
    await using admin = await scene.kafka.admin();
    await admin.ensureTopics([{ topic: `${scene.name}.public.a.b`, partitions: 1, replicationFactor: 1 }]);
  }
  const findings = await found(scene.config);
  assert.deepEqual(briefly(findings), ['error TOPIC_UNFIT public.a_b']);
  await assertSame(scene.config, findings);
});

test('a topic that was deleted, and one that was made again, against the stored position; a reset fixes it', async () => {
  await using scene = await createPollerScene(`CREATE TABLE a ${columns}; INSERT INTO a (value) VALUES ('one')`, [{ table: 'public.a' }]);
  const { config } = scene;
  await once(config);
  assert.deepEqual(briefly(await found(config)), []);
  await deleteTopic(scene, scene.topic('a'));
  const deleted = await found(config);
  assert.deepEqual(briefly(deleted), ['error TOPIC_REPLACED public.a']);
  // Which makes it again.
  await assertSame(config, deleted);
  await assertSame(config, await found(config));
  const command = /cdc poller (?<words>reset --table [^\s,]+)/.exec(deleted[0]?.remedy ?? '')?.groups?.['words'] ?? '';
  await terminal(pollerCommand, config).run(...command.split(' '));
  assert.deepEqual(briefly(await found(config)), []);
  await once(config);
  assert.deepEqual(briefly(await found(config)), []);
});

test('a position that cannot be read, and one whose remembered keys are gone from the topic', async () => {
  await using scene = await createPollerScene(`CREATE TABLE a ${columns}`, [{ table: 'public.a' }]);
  const { config, name, kafka } = scene;
  await once(config);
  const put = async (value: string | Buffer): Promise<void> => {
    await using producer = await kafka.transactionalProducer({ transactionalId: `${name}-stranger` });
    const transaction = await producer.begin();
    await transaction.send(positionTopic(name), [{ key: JSON.stringify({ table: 'public.a' }), value }]);
    await transaction.commit();
  };
  const { head } = (await readStoredTables(kafka, name, AbortSignal.timeout(60_000))).get('public.a') ?? {};
  assert.ok(head);
  for (const [value, code] of [
    ['no position', 'POSITION_INVALID'],
    [encodeHead({ ...head, chunks: [7] }), 'POSITION_INCOMPLETE'],
  ] as const) {
    await put(value);
    const findings = await found(config);
    assert.deepEqual(briefly(findings), [`error ${code} public.a`]);
    await assertSame(config, findings);
  }
});

test('without Kafka, topics and positions are unknown, and what the configuration shows is still reported; nothing is made in a Kafka that is there', async () => {
  await using scene = await createPollerScene(`CREATE TABLE "x y" ${columns}; CREATE TABLE x_y ${columns}`, [{ table: 'public.*' }]);
  const away = { ...scene.config, kafka: { ...scene.config.kafka, brokers: ['127.0.0.1:1'] } };
  const findings = await found(away);
  assert.deepEqual(briefly(findings), [
    'error TOPIC_UNFIT public.x y',
    'error TOPIC_UNFIT public.x_y',
    'unknown KAFKA_UNREACHABLE kafka.brokers',
  ]);
  assert.match(findings.at(-1)?.cause ?? '', /127\.0\.0\.1:1/);
  await found(scene.config);
  await using admin = await scene.kafka.admin();
  assert.deepEqual(
    (await admin.listTopics()).filter((topic) => topic.includes(scene.name)),
    [],
  );
});

test(
  'a pooler between is found before anything is set through it; a session-mode one is looked through where the configuration says so',
  { skip: (await whyNoPgbouncer()) ?? false },
  async () => {
    await using scene = await createPollerScene(`CREATE TABLE a ${columns}`, [{ table: 'public.a' }]);
    const { legacyDb } = scene.config;
    for (const mode of ['transaction', 'session'] as const) {
      await using pooler = await startPgbouncer(legacyDb, mode, legacyDb.roles.poller);
      const { host, port } = pooler;
      const config: PipelineConfig = { ...scene.config, legacyDb: { ...legacyDb, host, port } };
      const findings = await found(config);
      assert.deepEqual(briefly(findings), [`error POOLER_BETWEEN ${host}:${port}`]);
      await assertSame(config, findings);
      const [row] = await scene.database.query(
        `SELECT count(*)::int::text AS sessions FROM pg_stat_activity WHERE usename = '${legacyDb.roles.poller.user}' AND datname = '${scene.database.name}' AND query LIKE '%SET %'`,
      );
      assert.equal(row?.['sessions'], '0', 'nothing is set in a session that others may be given');
      if (mode === 'transaction') continue;
      assert.deepEqual(briefly(await found({ ...config, legacyDb: { ...config.legacyDb, pooler: 'session' } })), []);
    }
  },
);
