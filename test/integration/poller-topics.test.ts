import assert from 'node:assert/strict';
import { test } from 'node:test';
import getPort from 'get-port';
import { pollerCommand } from '#cdc-poller/commands.ts';
import { positionTopic } from '#cdc-poller/position/position-topic.ts';
import { runPoller } from '#cdc-poller/index.ts';
import { silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { createPollerScene, valuesOf, type PollerScene } from '#test/support/poller-scene.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { terminal } from '#test/support/terminal.ts';

const sql = `
  CREATE TABLE a (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE TABLE b (LIKE a INCLUDING ALL);
  INSERT INTO a (value) VALUES ('one'), ('two'); INSERT INTO b (value) VALUES ('one');`;

const scene = (settings: Readonly<Record<string, unknown>> = {}, ofA: object = {}): Promise<PollerScene> =>
  createPollerScene(sql, [{ table: 'public.a', ...ofA }, { table: 'public.b' }], settings);

const once = (config: PipelineConfig): Promise<void> =>
  runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true });

async function deleteTopic({ kafka }: PollerScene, topic: string): Promise<void> {
  await using admin = await kafka.admin();
  await admin.deleteTopics([topic]);
  const gone = async (): Promise<boolean> => !(await admin.listTopics()).includes(topic);
  await waitFor(gone, { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, describe: `${topic} is gone` });
}

const valuesIn = async (from: PollerScene, table: string): Promise<readonly string[]> =>
  valuesOf(await from.published(table), 'value').toSorted();

for (const sharing of ['takeover', 'group']) {
  test(`a data topic that is deleted while the poller runs (${sharing}): its table alone waits, stuck and by name, until a reset loads it again`, async () => {
    const port = await getPort();
    await using poll = await scene({ sharing, http: { port } });
    const { config, name } = poll;
    const endpoint = pollerEndpoint(port, name);
    await using _ = startTestPoller(config);
    await endpoint.until('public.a', ({ rowsPublished }) => rowsPublished === 2);
    await endpoint.until('public.b', ({ rowsPublished }) => rowsPublished === 1);
    await deleteTopic(poll, poll.topic('a'));
    const { lastError } = await endpoint.until('public.a', ({ stuck, lastError: last }) => stuck && last?.code === 'TOPIC_REPLACED');
    assert.match(lastError?.message ?? '', new RegExp(`topic ${poll.topic('a')} of table public\\.a was deleted`));
    await poll.query("INSERT INTO a (value) VALUES ('three'); INSERT INTO b (value) VALUES ('two')");
    await poll.until('b', (events) => events.length === 2, 'the other table goes on');
    const command = /cdc poller (?<words>reset --table [^\s,]+)/.exec(lastError?.remedy ?? '')?.groups?.['words'] ?? '';
    assert.equal((await terminal(pollerCommand, config).run(...command.split(' '))).printed, 'reset public.a');
    await endpoint.until('public.a', ({ stuck, phase }) => !stuck && phase === 'polling');
    // With another test's transaction open, the load leaves the newest row to a repair.
    await poll.until('a', (events) => events.length >= 3, 'all rows are there again');
    assert.deepEqual(await valuesIn(poll, 'a'), ['one', 'three', 'two']);
  });
}

test('a data topic that was made again while no poller ran is refused, loaded again or ignored, as onTopicReplaced says', async () => {
  await using poll = await scene();
  const { config } = poll;
  const { poller } = config;
  assert.ok(poller);
  const as = (onTopicReplaced: 'fail' | 'load' | 'ignore'): PipelineConfig => ({
    ...config,
    poller: { ...poller, tables: poller.tables.map((table) => ({ ...table, onTopicReplaced })) },
  });
  await once(as('fail'));
  await deleteTopic(poll, poll.topic('a'));
  await poll.query("INSERT INTO a (value) VALUES ('three')");
  await assert.rejects(once(as('fail')), { code: 'TOPIC_REPLACED', message: /table public\.a was deleted/ });
  assert.deepEqual(await valuesIn(poll, 'a'), []);
  await once(as('ignore'));
  assert.deepEqual(await valuesIn(poll, 'a'), ['three']);
  await once(as('fail'));
  await deleteTopic(poll, poll.topic('a'));
  await once(as('load'));
  assert.deepEqual(await valuesIn(poll, 'a'), ['one', 'three', 'two']);
});

test('a positions topic that is deleted while the poller runs ends it by name, and the next start loads again', async () => {
  const port = await getPort();
  await using poll = await scene({ http: { port } });
  const { config, name } = poll;
  {
    await using running = startTestPoller(config);
    await pollerEndpoint(port, name).until('public.a', ({ rowsPublished }) => rowsPublished === 2);
    await deleteTopic(poll, positionTopic(name));
    await assert.rejects(running.ended, {
      code: 'POSITIONS_LOST',
      message: new RegExp(positionTopic(name)),
      remedy: /Restart the poller/,
    });
  }
  await poll.query("INSERT INTO a (value) VALUES ('three')");
  await once(config);
  assert.deepEqual(await valuesIn(poll, 'a'), ['one', 'one', 'three', 'two', 'two']);
});

const unreadable = { junk: 'no position', newer: JSON.stringify({ version: 99, position: {}, chunks: [] }) };
for (const [what, value] of Object.entries(unreadable)) {
  test(`a position that cannot be read (${what}) is one table's trouble; status says so, and the stated reset fixes it while the poller runs`, async () => {
    const port = await getPort();
    await using poll = await scene({ http: { port } });
    const { config, name, kafka } = poll;
    await once(config);
    {
      await using producer = await kafka.transactionalProducer({ transactionalId: `${name}-stranger` });
      const transaction = await producer.begin();
      await transaction.send(positionTopic(name), [
        { key: JSON.stringify({ table: 'public.a' }), value },
        { key: 'no key of a position', value: 'x' },
        { key: 'null', value: 'x' },
      ]);
      await transaction.commit();
    }
    const status = terminal(pollerCommand, config);
    assert.match((await status.run('status')).printed, /public\.b +│ done/);
    assert.match(
      (await status.run('status')).printed,
      /public\.a, unreadable: POSITION_INVALID: the position of table public\.a cannot be read/,
    );
    const endpoint = pollerEndpoint(port, name);
    await using _ = startTestPoller(config);
    await poll.query("INSERT INTO a (value) VALUES ('three'); INSERT INTO b (value) VALUES ('two')");
    await poll.until('b', (events) => events.length === 2, 'the other table goes on');
    const { lastError } = await endpoint.until('public.a', ({ stuck, lastError: last }) => stuck && last?.code === 'POSITION_INVALID');
    assert.match(lastError?.remedy ?? '', /cdc poller reset --table public\.a,/);
    assert.equal((await terminal(pollerCommand, config).run('reset', '--table', 'public.a')).printed, 'reset public.a');
    await endpoint.until('public.a', ({ stuck, phase }) => !stuck && phase === 'polling');
    await poll.until('a', (events) => events.length >= 5, 'all rows are there again');
    assert.deepEqual(await valuesIn(poll, 'a'), ['one', 'one', 'three', 'two', 'two']);
  });
}
