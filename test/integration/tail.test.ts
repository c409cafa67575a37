import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventDecoder } from '#change-events/index.ts';
import { eventsCommand } from '#tail/index.ts';
import { tail } from '#tail/tail.ts';
import { topicsOf } from '#tail/topics.ts';
import type { Kafka, KafkaAdmin, OutgoingMessage, TransactionalProducer } from '#kafka/index.ts';
import { nodeFlags, pipelineSchema, CdcError, type PipelineConfig } from '#pipeline/index.ts';
import { avroOrders } from '#test/support/avro-orders.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { order, remove, tombstone, topicOf, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { testRegistryConfig } from '#test/support/registry.ts';
import { uniqueName } from '#test/support/stack.ts';
import { terminal, type Terminal } from '#test/support/terminal.ts';

let kafka: Kafka;
let admin: KafkaAdmin;
let producer: TransactionalProducer;
const topics: string[] = [];

before(async () => {
  kafka = await testKafka();
  admin = await kafka.admin();
  producer = await kafka.transactionalProducer({ transactionalId: uniqueName('tail') });
});

after(async () => {
  const existing = new Set(await admin.listTopics());
  await admin.deleteTopics(topics.filter((topic) => existing.has(topic)));
  await producer[Symbol.asyncDispose]();
  await admin[Symbol.asyncDispose]();
});

/** Prefixes of both strategies that nobody else has; the topics are made for the strategies named. */
async function scene(
  made: readonly ('query' | 'log')[],
  sections = made,
): Promise<{ readonly query: string; readonly log: string; readonly config: PipelineConfig; readonly cdc: Terminal }> {
  const prefixes = { query: uniqueName('tail-query'), log: uniqueName('tail-log') };
  topics.push(...Object.values(prefixes).map((prefix) => topicOf(prefix, 'orders')));
  for (const strategy of made)
    await admin.ensureTopics([{ topic: topicOf(prefixes[strategy], 'orders'), partitions: 3, replicationFactor: 1 }]);
  const config = pipelineSchema.parse({
    legacyDb: { database: 'none', roles: { poller: { user: 'none' } } },
    kafka: await testKafkaConfig(),
    schemaRegistry: await testRegistryConfig(),
    ...(sections.includes('query') ? { poller: { name: 'tail', topicPrefix: prefixes.query, tables: [{ table: 'public.orders' }] } } : {}),
    ...(sections.includes('log') ? { connect: { topicPrefix: prefixes.log } } : {}),
  });
  return { ...prefixes, config, cdc: terminal(eventsCommand, config) };
}

async function send(prefix: string, ...messages: readonly OutgoingMessage[]): Promise<void> {
  const transaction = await producer.begin();
  await transaction.send(topicOf(prefix, 'orders'), messages);
  await transaction.commit();
}

/** Sends until a tail that has been started is there to see it: it begins at the end of its topics, whenever that is. */
async function untilSeen(lines: readonly string[], again: () => Promise<void>): Promise<void> {
  await eventually(
    async () => {
      await again();
      return lines.length;
    },
    (count) => count > 0,
  );
}

test('from the beginning: both strategies side by side in the order of time, whatever their partitions and formats', async () => {
  const { query, log, cdc } = await scene(['query', 'log']);
  const avro = await avroOrders(uniqueName('tail_avro'));
  // Each is a transaction of its own, so each has a later timestamp than the one before, or the same.
  const sent: string[] = [];
  for (let id = 1; id <= 12; id += 1) {
    await send(query, upsert('orders', order(id, 1, 'new'), 'u'));
    await send(log, avro.upsert(id, `state-${id}`));
    sent.push(`query ${id}`, `log ${id}`);
  }
  const { printed, exitCode } = await cdc.run('tail', 'public.orders', '--from-beginning', '--limit', '24');
  assert.equal(exitCode, 0);
  const lines = printed.split('\n');
  const seen = lines.map((line) => line.split(/ {2,}/)).map(([, strategy, , key]) => `${strategy} ${key}`);
  assert.deepEqual(seen.toSorted(), sent.toSorted());
  const json = await cdc.run('tail', 'public.orders', '--from-beginning', '--limit', '24', '--json');
  const times = json.printed.split('\n').map((line): string => JSON.parse(line).writtenAt);
  assert.deepEqual(times, times.toSorted(), 'by Kafka’s time');
  assert.ok(lines.some((line) => line.includes('status: "state-7"')));
});

test('no consumer group is asked for: none can be left behind', async () => {
  const { log, config } = await scene(['log']);
  await send(log, upsert('orders', order(1, 1)));
  const options = {
    decoder: eventDecoder(undefined),
    topics: topicsOf(config, { schema: 'public', table: 'orders' }, 'log'),
    from: 'beginning',
    progress: assert.fail,
  } as const;
  for await (const event of tail({
    ...options,
    kafka: { ...kafka, consumer: () => assert.fail('a group') },
    signal: AbortSignal.timeout(60_000),
  })) {
    assert.equal(event.key, '1');
    break;
  }
});

test('one key, a lone tombstone, junk and what a delete leaves behind', async () => {
  const { log, cdc } = await scene(['log']);
  const messages = [
    upsert('orders', order(1, 1)),
    upsert('orders', order(2, 1)),
    { key: '{"id":1}', value: 'junk' },
    ...remove('orders', 1),
    tombstone(1),
  ];
  await send(log, ...messages.map((message) => ({ ...message, partition: 0 })));
  const all = await cdc.run('tail', 'public.orders', '--from-beginning', '--limit', '5');
  assert.deepEqual(
    all.printed.split('\n').map((line) => /insert {4}\d|delete {4}\d|tombstone {2}\d|EVENT_UNDECODABLE/.exec(line)?.[0]),
    ['insert    1', 'insert    2', 'EVENT_UNDECODABLE', 'delete    1', 'tombstone  1'],
  );
  assert.match(all.printed, new RegExp(`EVENT_UNDECODABLE at ${log}\\.public\\.orders/0 offset 2: `));
  const two = await cdc.run('tail', 'public.orders', '--from-beginning', '--key', '2', '--limit', '1');
  assert.match(two.printed, /^\S+ +log +insert +2 {2}[^\n]*$/);
});

test('without --from-beginning it shows what comes, and ends in order on a signal', async () => {
  const { log, cdc } = await scene(['log']);
  await send(log, upsert('orders', order(1, 1, 'before')));
  await using running = cdc.start('tail', 'public.orders');
  await untilSeen(running.printed, () => send(log, upsert('orders', order(2, 1, 'after'))));
  assert.ok(
    running.printed.every((line) => line.includes('status: "after"')),
    running.printed.join('\n'),
  );
});

test('a strategy whose topic does not exist yet is said to be waited for, and joins when it comes', async () => {
  const { query, log, cdc } = await scene(['log'], ['query', 'log']);
  await using running = cdc.start('tail', 'public.orders', '--from-beginning');
  await eventually(
    async () => running.progress.join('\n'),
    (said) => said.includes(`waiting for topic ${query}.public.orders, which does not exist yet.`) && said.includes('cdc poller start'),
  );
  await send(log, upsert('orders', order(1, 1, 'from the log')));
  await admin.ensureTopics([{ topic: topicOf(query, 'orders'), partitions: 3, replicationFactor: 1 }]);
  await send(query, upsert('orders', order(2, 1, 'from the query'), 'u'));
  await eventually(
    async () => running.printed.join('\n'),
    (printed) => printed.includes('from the log') && printed.includes('from the query'),
  );
});

test('without any topic it ends, and names topic and remedy', async () => {
  const { log, cdc } = await scene([], ['log']);
  await assert.rejects(
    cdc.run('tail', 'public.orders'),
    (error) =>
      error instanceof CdcError &&
      error.code === 'TOPIC_MISSING' &&
      error.message.includes(`${log}.public.orders`) &&
      error.remedy.includes('cdc connectors apply'),
  );
});

test('with one section only, that strategy is read; the other is refused by name', async () => {
  const { query, cdc } = await scene(['query']);
  await send(query, upsert('orders', order(1, 1), 'u'));
  assert.match((await cdc.run('tail', 'public.orders', '--from-beginning', '--limit', '1')).printed, /query {2}update/);
  await assert.rejects(
    cdc.run('tail', 'public.orders', '--strategy', 'log'),
    (error) => error instanceof CdcError && error.code === 'CONFIG_INVALID',
  );
});

test('an open transaction below the end of one partition keeps nobody from the others', async () => {
  const { log, cdc } = await scene(['log']);
  const own = await kafka.transactionalProducer({ transactionalId: uniqueName('tail-open') });
  const open = await own.begin();
  await open.send(topicOf(log, 'orders'), [{ ...upsert('orders', order(1, 1, 'open')), partition: 0 }]);
  await send(log, { ...upsert('orders', order(2, 1, 'committed')), partition: 1 });
  await using running = cdc.start('tail', 'public.orders', '--from-beginning');
  await eventually(
    async () => running.printed.join('\n'),
    (printed) => printed.includes('committed'),
  );
  assert.ok(!running.printed.join('\n').includes('"open"'));
  await open.commit();
  await eventually(
    async () => running.printed.join('\n'),
    (printed) => printed.includes('"open"'),
  );
  await own[Symbol.asyncDispose]();
});

test('the program ends with 0 on Ctrl-C, and with 64 for what is no table', async () => {
  const { log, config } = await scene(['log']);
  const folder = await mkdtemp(join(tmpdir(), 'cdc-tail-'));
  try {
    const file = join(folder, 'pipeline.yaml');
    await writeFile(file, JSON.stringify(config));
    const run = (...words: readonly string[]): ReturnType<typeof spawn> =>
      spawn(process.execPath, [...nodeFlags, join(repositoryRoot, 'cli.ts'), '--config', file, 'events', 'tail', ...words], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    const child = run('public.orders');
    const exited = once(child, 'exit');
    const lines: string[] = [];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => lines.push(text));
    await untilSeen(lines, () => send(log, upsert('orders', order(1, 1))));
    child.kill('SIGINT');
    assert.deepEqual(await exited, [0, null]);
    assert.deepEqual(await once(run('orders'), 'exit'), [64, null]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
