import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import type { GroupConsumer } from '#kafka/index.ts';
import { groupHolders } from '#test/support/group-holders.ts';
import { order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { uniqueName } from '#test/support/stack.ts';

/** A member as a process of its own, with a client id by which the broker's own list of the group names it. */
function spawnMember(model: ReadModelFixture, clientId: string): ChildProcess {
  const config = { ...model.config, kafka: { ...model.config.kafka, clientId } };
  return spawn(process.execPath, [new URL('../support/read-model-process.ts', import.meta.url).pathname], {
    env: { ...process.env, READ_MODEL_CONFIG: JSON.stringify(config) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

/** Notes each row whose status goes back: `status` counts up in the source. */
const watchOrder = `
  CREATE TABLE model.went_back (id bigint, old text, new text);
  CREATE FUNCTION model.note_going_back() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF NEW.status::int < OLD.status::int THEN INSERT INTO model.went_back VALUES (NEW.id, OLD.status, NEW.status); END IF;
    RETURN NEW;
  END $$;
  CREATE TRIGGER note_going_back BEFORE UPDATE ON model.orders FOR EACH ROW EXECUTE FUNCTION model.note_going_back()`;

test(
  'of four members for three partitions one idles, and takes over within seconds when another dies; each key keeps its order',
  { timeout: 150_000 },
  async (t) => {
    await using model = await createReadModel({ topics: false });
    await model.admin.ensureTopics([{ topic: model.topic('orders'), partitions: 3, replicationFactor: 1 }]);
    await model.read.query(watchOrder);
    const keys = 30;
    let count = 0;
    const sendNext = (): Promise<void> => {
      count += 1;
      return model.send(
        'orders',
        Array.from({ length: keys }, (_, id) => upsert('orders', order(id, 1, String(count)))),
      );
    };
    await sendNext();
    const names = ['one', 'two', 'three', 'four'].map((name) => uniqueName(name));
    const children = new Map(names.map((name) => [name, spawnMember(model, name)]));
    try {
      const shared = await eventually(
        () => groupHolders(model.groupId),
        (members) => members.length === 4,
      );
      assert.deepEqual(
        shared.map(([, partitions]) => partitions).toSorted((a, b) => a - b),
        [0, 1, 1, 1],
      );
      const [idle] = shared.find(([, partitions]) => partitions === 0) ?? [''];
      const [dying = ''] = shared.find(([, partitions]) => partitions === 1) ?? [];
      // Each round of the loop sends what members apply while the group changes.
      const feeding = { on: true };
      const feed = (async () => {
        while (feeding.on) await sendNext();
      })();
      const child = children.get(dying);
      assert.ok(child);
      const exited = once(child, 'exit');
      const died = performance.now();
      child.kill('SIGKILL');
      await exited;
      const after = await eventually(
        () => groupHolders(model.groupId),
        (members) => members.length === 3 && members.every(([name]) => name !== dying),
      );
      const seconds = (performance.now() - died) / 1000;
      feeding.on = false;
      await feed;
      assert.ok(
        after.some(([name, partitions]) => name === idle && partitions === 1),
        JSON.stringify(after),
      );
      // The session timeout is ten seconds: only then does the broker know. (A client's default would be thirty.)
      t.diagnostic(`taken over after ${seconds.toFixed(1)} s`);
      assert.ok(seconds < 28, `${seconds.toFixed(1)} s`);
      await sendNext();
      await model.caughtUp();
      const statuses = await model.read.query('SELECT DISTINCT status FROM model.orders');
      assert.deepEqual(statuses, [{ status: String(count) }]);
      assert.deepEqual(await model.read.query('SELECT * FROM model.went_back'), []);
      assert.deepEqual(await model.read.query('SELECT sum(events)::text AS events FROM model.apply_log'), [
        { events: String(count * keys) },
      ]);
    } finally {
      await Promise.all([...children.values()].map(stop));
    }
  },
);

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

test(
  'records without a key are spread over the partitions, those of one key lie in one, in their order',
  { timeout: 150_000 },
  async () => {
    await using model = await createReadModel();
    const keyless = Array.from({ length: 30 }, (_, id) => ({ key: null, value: upsert('orders', order(id, 1)).value }));
    await model.send('orders', keyless);
    const spread = await model.admin.offsetsOf(model.topic('orders'));
    assert.ok(
      spread.every(({ high }) => high > 1n),
      spread.map(({ high }) => high).join(),
    );
    const versions = Array.from({ length: 30 }, (_, version) => upsert('orders', order(7, 1, String(version))));
    await model.send('order_items', versions);
    const kept = await model.admin.offsetsOf(model.topic('order_items'));
    assert.deepEqual(
      kept.map(({ high }) => Number(high)).toSorted((a, b) => a - b),
      [0, 0, 31],
    );
    await using reading = await readGroup(model, 'order_items');
    await eventually(
      async () => reading.values.length,
      (length) => length === 30,
    );
    assert.deepEqual(
      reading.values,
      versions.map(({ value }) => String(value)),
    );
  },
);

type Reading = AsyncDisposable & { readonly values: string[] };

/** A new group that reads a table's topic. */
async function readGroup(model: ReadModelFixture, table: string): Promise<Reading> {
  const values: string[] = [];
  const joined = Promise.withResolvers<void>();
  const consumer: GroupConsumer = await model.kafka.consumer({
    groupId: uniqueName('rules'),
    topics: [model.topic(table)],
    maxWaitMs: 20,
    onAssigned: () => joined.resolve(),
    onBatch: async ({ messages }) => {
      for (const { value } of messages) values.push(String(value));
    },
  });
  await joined.promise;
  return { values, [Symbol.asyncDispose]: () => consumer[Symbol.asyncDispose]() };
}
