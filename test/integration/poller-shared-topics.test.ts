import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runPoller } from '#cdc-poller/index.ts';
import { CdcError, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { createPollerScene, valuesOf, type PollerScene } from '#test/support/poller-scene.ts';
import { readPublished } from '#test/support/published.ts';
import { uniqueName } from '#test/support/stack.ts';

/** Tables whose topics Kafka would take for one. */
let scene: PollerScene;

before(async () => {
  const columns = '(id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT now())';
  scene = await createPollerScene(
    `CREATE TABLE "x y" ${columns}; INSERT INTO "x y" (value) VALUES ('blank');
     CREATE TABLE x_y ${columns}; INSERT INTO x_y (value) VALUES ('underscore');
     CREATE TABLE "o.ther" ${columns}; INSERT INTO "o.ther" (value) VALUES ('dot');
     CREATE TABLE plain ${columns}; INSERT INTO plain (value) VALUES ('plain')`,
    [{ table: 'public.*' }],
    { discoveryIntervalMs: 1000 },
  );
});
after(() => scene[Symbol.asyncDispose]());

async function runOnce(config: PipelineConfig): Promise<unknown> {
  try {
    await runPoller({ config, logger: silentLogger, signal: new AbortController().signal, once: true });
    return null;
  } catch (error) {
    return error;
  }
}

/** The same poller, with further entries beside the pattern. */
function withEntries(...tables: readonly { readonly table: string; readonly topic: string }[]): PipelineConfig {
  const { poller } = scene.config;
  const [pattern] = poller?.tables ?? [];
  assert.ok(poller !== undefined && pattern !== undefined);
  return { ...scene.config, poller: { ...poller, tables: [pattern, ...tables.map((table) => ({ ...pattern, ...table }))] } };
}

test('tables that would share a topic are refused by name, the others are published; a topic of its own brings one in', async () => {
  const refused = await runOnce(scene.config);
  assert.ok(refused instanceof CdcError, String(refused));
  assert.equal(refused.code, 'TOPIC_UNFIT');
  assert.match(refused.message, /public\.x y.*public\.x_y|public\.x_y.*public\.x y/);
  assert.deepEqual(valuesOf(await scene.published('plain'), 'value'), ['plain']);
  assert.deepEqual(valuesOf(await scene.published('o.ther'), 'value'), ['dot']);
  assert.deepEqual(await scene.published('x_y'), []);
  const topic = uniqueName('apart');
  assert.equal(await runOnce(withEntries({ table: 'public.x y', topic })), null);
  assert.deepEqual(valuesOf(await readPublished(scene.kafka, topic), 'value'), ['blank']);
  assert.deepEqual(valuesOf(await scene.published('x_y'), 'value'), ['underscore']);
});

test('a table that comes later does not take a topic from one that is polled, not at the next start either', async () => {
  const config = withEntries({ table: 'public.x y', topic: uniqueName('other') });
  for (const value of ['while running', 'after a start']) {
    await using poller = startTestPoller(config);
    // Kafka takes a dot and an underscore for one.
    await scene.query(
      `CREATE TABLE IF NOT EXISTS "x.y" (LIKE plain INCLUDING ALL); CREATE TABLE IF NOT EXISTS "${value}" (LIKE plain INCLUDING ALL)`,
    );
    await scene.query(
      `INSERT INTO "x.y" (value) VALUES ('late'); INSERT INTO "${value}" (value) VALUES ('a witness that tables were looked for'); INSERT INTO x_y (value) VALUES ('${value}')`,
    );
    await scene.until(value.replaceAll(' ', '_'), (events) => events.length > 0, 'the witness');
    await scene.until('x_y', (events) => valuesOf(events, 'value').includes(value), value);
    await poller.stop();
  }
  await using admin = await scene.kafka.admin();
  assert.ok(!(await admin.listTopics()).includes(scene.topic('x.y')));
});
