import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createTopicGuard } from '#cdc-poller/supervisor/topic-guard.ts';
import type { PollerContext, TableAssignment } from '#cdc-poller/supervisor/context.ts';
import { createSupervisor, type Supervisor } from '#cdc-poller/supervisor/supervisor.ts';
import { connectKafka } from '#kafka/index.ts';
import { CdcError, pipelineSchema, silentLogger, type ErrorCode } from '#pipeline/index.ts';

type Scene = {
  readonly supervisor: Supervisor;
  /** Which tables run now, in the order in which they began. */
  readonly running: readonly string[];
  /** Ends a table's run as if by an error, or of itself. */
  finish(table: string, code?: ErrorCode): Promise<void>;
  want(names: readonly string[], all?: boolean): void;
  abort(): void;
  /** What became of `ended` so far. */
  outcome(): Promise<string>;
};

/** A supervisor whose runs the test ends. A run whose assignment ends goes on until the test finishes it: graceful, and slow. */
function createScene({ once = false, shared = true } = {}): Scene {
  const config = pipelineSchema.parse({
    legacyDb: { database: 'x', roles: { poller: { user: 'x' } } },
    kafka: { brokers: '127.0.0.1:1' },
    poller: { name: 'x', tables: [{ table: 'public.a' }, { table: 'public.b' }, { table: 'public.c' }] },
  });
  const { poller } = config;
  assert.ok(poller);
  const stop = new AbortController();
  const kafka = connectKafka(config.kafka, silentLogger);
  const context: PollerContext = {
    config,
    poller,
    kafka,
    once,
    logger: silentLogger,
    signal: stop.signal,
    owner: 'x',
    governor: null,
    sessions: null,
    registrar: null,
    takingOver: (work) => work(),
    loadThreadsPlace: { taken: false },
    readPositions: () => Promise.resolve(new Map()),
    topics: createTopicGuard(kafka, 'none'),
    refused: new Map(),
  };
  const running: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const run = async (_: PollerContext, { table: { table } }: TableAssignment): Promise<void> => {
    running.push(table);
    const end = Promise.withResolvers<void>();
    ends.set(table, end);
    try {
      await end.promise;
    } finally {
      running.splice(running.indexOf(table), 1);
    }
  };
  const supervisor = createSupervisor({ context, confirmed: shared ? async () => undefined : null, listener: null, run });
  return {
    supervisor,
    running,
    async finish(table, code) {
      if (code === undefined) ends.get(table)?.resolve();
      else ends.get(table)?.reject(new CdcError(code, `of ${table}`));
      await turn();
    },
    want: (names, all = true) =>
      supervisor.want(
        poller.tables.filter(({ table }) => names.includes(table)),
        all,
      ),
    abort: () => stop.abort(),
    outcome: () =>
      Promise.race([
        supervisor.ended.then(
          () => 'ended',
          (error: unknown) => String(error),
        ),
        turn('goes on'),
      ]),
  };
}

const [a, b, c] = ['public.a', 'public.b', 'public.c'];

test("one table's final error stops that table alone; when all have failed the process ends with the first error", async () => {
  const scene = createScene();
  scene.want([a, b]);
  await turn();
  await scene.finish(a, 'SELECT_MISSING');
  assert.deepEqual(scene.running, [b]);
  assert.equal(await scene.outcome(), 'goes on');
  const [first] = scene.supervisor.figures();
  assert.deepEqual([first?.phase, first?.stuck, first?.lastError?.code], ['failed', true, 'SELECT_MISSING']);
  scene.want([a, b]);
  await turn();
  assert.deepEqual(scene.running, [b], 'what failed is not begun again');
  await scene.finish(b, 'SOURCE_CHANGED');
  assert.match(await scene.outcome(), /of public\.a/);
});

test('a member whose whole share has failed stays: others may have the other tables, and a crash loop would move their tables for ever', async () => {
  const scene = createScene();
  scene.want([a], false);
  await turn();
  await scene.finish(a, 'SELECT_MISSING');
  assert.equal(await scene.outcome(), 'goes on');
  scene.want([b], false);
  await turn();
  assert.deepEqual(scene.running, [b]);
  scene.want([a, b], false);
  await turn();
  assert.deepEqual(scene.running, [b, a], 'what came back is tried again');
});

test('without sharing, to be fenced at one table ends them all, gracefully', async () => {
  const scene = createScene({ shared: false });
  scene.want([a, b]);
  await turn();
  await scene.finish(a, 'PRODUCER_FENCED');
  assert.equal(await scene.outcome(), 'goes on', 'b is still ending');
  await scene.finish(b);
  assert.match(await scene.outcome(), /of public\.a/);
});

test('a table that is taken away and given back begins again only when its earlier run has ended', async () => {
  const scene = createScene();
  scene.want([a, b]);
  await turn();
  scene.want([b]);
  await turn();
  scene.want([a, b]);
  await turn();
  assert.deepEqual(scene.running, [a, b], 'the earlier run is still ending');
  await scene.finish(a);
  assert.deepEqual(scene.running, [b, a]);
  scene.want([b, c]);
  await turn();
  await scene.finish(a);
  assert.deepEqual(scene.running, [b, c]);
});

test('once: ends when all tables are through, with the error of one that failed only after the others', async () => {
  const well = createScene({ once: true });
  well.want([a, b]);
  await turn();
  await well.finish(a);
  assert.equal(await well.outcome(), 'goes on');
  await well.finish(b);
  assert.equal(await well.outcome(), 'ended');
  const ill = createScene({ once: true });
  ill.want([a, b]);
  await turn();
  await ill.finish(a, 'SELECT_MISSING');
  assert.equal(await ill.outcome(), 'goes on');
  await ill.finish(b);
  assert.match(await ill.outcome(), /of public\.a/);
});

test('once: with no table at all there is nothing to wait for', async () => {
  const scene = createScene({ once: true });
  scene.want([]);
  assert.equal(await scene.outcome(), 'ended');
});

test('when the process gets the signal to stop it waits until every run has ended, and begins none', async () => {
  const scene = createScene();
  scene.want([a]);
  await turn();
  scene.abort();
  scene.want([a, b]);
  await turn();
  assert.deepEqual(scene.running, [a]);
  assert.equal(await scene.outcome(), 'goes on');
  await scene.finish(a);
  assert.equal(await scene.outcome(), 'ended');
});
