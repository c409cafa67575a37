import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Poison, type PoisonedChange, type UnreadableRange } from '#sdk/index.ts';
import { atLeastOnceScene, changeOf, lineOf, repeats } from '#test/support/at-least-once.ts';
import { deleteRecords } from '#test/support/delete-records.ts';
import { order, remove, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { killed } from '#test/support/read-model.ts';

const idle = async (): Promise<void> => undefined;

/** As the remedy of a halt names it. */
function rangeOf(remedy: string): UnreadableRange {
  const found = /topic: '([^']+)', partition: (\d+), offset: (\d+)n, nextOffset: (\d+)n/.exec(remedy);
  assert.ok(found !== null, remedy);
  const [, topic = '', partition, offset = '', nextOffset = ''] = found;
  return { topic, partition: Number(partition), offset: BigInt(offset), nextOffset: BigInt(nextOffset) };
}

for (const client of ['kafkajs', 'platformatic'] as const) {
  describe(client, () => {
    test(
      'an end in order commits what was handled: the next instance repeats nothing and misses nothing',
      { timeout: 100_000 },
      async () => {
        await using scene = await atLeastOnceScene({ client });
        const lines: string[] = [];
        const expected: string[] = [];
        for (let round = 0; round < 3; round += 1) {
          await using consumer = await scene.start(async (changes) => void lines.push(...changes.map(lineOf)), { batch: { changes: 7 } });
          expected.push(...(await scene.change(100)));
          // It ends in the middle of the work.
          await eventually(
            async () => lines.length,
            (count) => count >= expected.length - 80,
          );
          await consumer[Symbol.asyncDispose]();
          await consumer.finished;
        }
        await using last = await scene.start(async (changes) => void lines.push(...changes.map(lineOf)));
        await scene.caughtUp();
        assert.equal(repeats(lines), 0);
        assert.deepEqual(lines.map(changeOf).toSorted(), expected.toSorted());
        const { partitions } = await eventually(
          () => last.status(),
          ({ state }) => state === 'consuming',
        );
        assert.equal(partitions.length, 3);
        assert.ok(partitions.every(({ lag, halted, trouble }) => lag !== null && lag <= 1n && halted === null && trouble === null));
      },
    );

    test(
      'two instances share the partitions, come and go in the middle of the work: no change is missed',
      { timeout: 120_000 },
      async () => {
        await using scene = await atLeastOnceScene({ client, partitions: 4 });
        const lines: string[] = [];
        const expected: string[] = [];
        const handled = { a: 0, b: 0 };
        const batch = 10;
        const counting = (name: 'a' | 'b') => async (changes: readonly Parameters<typeof lineOf>[0][]) => {
          lines.push(...changes.map(lineOf));
          handled[name] += changes.length;
        };
        await using first = await scene.start(counting('a'), { batch: { changes: batch } });
        const rounds = 3;
        for (let round = 0; round < rounds; round += 1) {
          expected.push(...(await scene.change(300)));
          await using second = await scene.start(counting('b'), { batch: { changes: batch } });
          const before = handled.b;
          await eventually(
            async () => {
              expected.push(...(await scene.change(20)));
              return handled.b;
            },
            (count) => count > before,
          );
          void second;
        }
        await scene.caughtUp();
        assert.deepEqual([...new Set(lines)].map(changeOf).toSorted(), expected.toSorted());
        // Each time that the group is shared, at most one call of each of four partitions comes again.
        assert.ok(repeats(lines) <= 2 * rounds * 4 * batch, `${repeats(lines)} repeated`);
        assert.ok(handled.a > 0 && handled.b > 0);
        void first;
      },
    );
  });
}

test('nothing is committed before its handler has resolved', { timeout: 60_000 }, async () => {
  await using scene = await atLeastOnceScene({ partitions: 1 });
  await scene.change(4);
  const entered = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let calls = 0;
  await using consumer = await scene.start(
    async () => {
      calls += 1;
      if (calls === 2) {
        entered.resolve();
        await goOn.promise;
      }
    },
    { batch: { changes: 2 } },
  );
  await entered.promise;
  assert.equal((await scene.committed()).get(0), 2n);
  await assert.rejects(consumer.waitFor(`${scene.topic}:0=3`, { timeoutMs: 1 }), { code: 'CONSUMER_NOT_REACHED' });
  goOn.resolve();
  await consumer.waitFor(`${scene.topic}:0=4`, { timeoutMs: 30_000 });
  await assert.rejects(consumer.waitFor('2026-01-01T00:00:00Z'), { code: 'CONSUMER_INVALID' });
  assert.equal(calls, 2);
});

test('kill -9 in the middle loses nothing; what comes again is bounded by the calls at work', { timeout: 120_000 }, async () => {
  await using scene = await atLeastOnceScene();
  const batch = 10;
  const expected: string[] = [];
  const kills = 2;
  for (let round = 0; round < kills; round += 1) {
    const child = scene.spawn(batch);
    const before = new Set(await scene.lines()).size;
    expected.push(...(await scene.change(400)));
    await eventually(
      async () => new Set(await scene.lines()).size,
      (count) => count > before + 20,
    );
    await killed(child);
  }
  const last = scene.spawn(batch);
  await scene.caughtUp();
  await killed(last);
  const lines = await scene.lines();
  assert.deepEqual([...new Set(lines)].map(changeOf).toSorted(), expected.toSorted());
  // Of each of three partitions one call, and one that had ended and was not committed yet.
  assert.ok(repeats(lines) <= kills * 3 * 2 * batch, `${repeats(lines)} repeated`);
});

test('a handler that throws gets the same changes again, and other partitions go on', { timeout: 60_000 }, async () => {
  await using scene = await atLeastOnceScene({ partitions: 2 });
  let isWell = false;
  const seen: string[] = [];
  const attempts: number[] = [];
  await using consumer = await scene.start(async (changes, { attempt }) => {
    if (changes[0]?.partition === 0 && !isWell) {
      attempts.push(attempt);
      throw new Error('not now');
    }
    seen.push(...changes.map(lineOf));
  });
  const expected = await scene.change(60);
  const trouble = await eventually(
    async () => (await consumer.status()).partitions.find(({ partition }) => partition === 0)?.trouble ?? null,
    (one) => (one?.attempt ?? 0) >= 3,
  );
  assert.equal(trouble?.code, 'CONSUMER_HANDLER_FAILED');
  assert.match(trouble.cause, /not now/);
  assert.deepEqual(attempts.slice(0, 3), [1, 2, 3]);
  assert.equal((await scene.committed()).get(0), 0n);
  await eventually(
    async () => seen.length,
    (count) => count > 0,
  );
  isWell = true;
  await scene.caughtUp();
  assert.deepEqual(seen.map(changeOf).toSorted(), expected.toSorted());
  assert.ok((await consumer.status()).partitions.every((one) => one.trouble === null));
});

test('Poison, and a message that nobody can read, halt their partition by name until they are skipped', { timeout: 90_000 }, async () => {
  await using scene = await atLeastOnceScene({ partitions: 1 });
  const seen = new Set<string>();
  await using consumer = await scene.start(async (changes) => {
    const poison = changes.find(({ after }) => after?.['status'] === 'bad');
    if (poison !== undefined) throw new Poison(poison, 'no such customer');
    for (const change of changes) seen.add(changeOf(lineOf(change)));
  });
  await scene.send(
    upsert('orders', order(1, 1, 'good')),
    upsert('orders', order(2, 1, 'bad')),
    { key: '{"id":3}', value: 'no event' },
    upsert('orders', order(4, 1, 'good')),
    ...remove('orders', 1),
  );
  for (const code of ['CONSUMER_POISON', 'EVENT_UNDECODABLE']) {
    const halted = await eventually(
      async () => (await consumer.status()).partitions[0]?.halted ?? null,
      (halt) => halt?.code === code,
    );
    assert.ok(halted !== null);
    assert.deepEqual([...seen], ['create {"id":1} "good"']);
    assert.equal((await scene.committed()).get(0), halted.offset);
    const range = rangeOf(halted.remedy);
    await assert.rejects(consumer.skip({ ...range, nextOffset: range.nextOffset + 1n }), { code: 'CONSUMER_SKIP_REFUSED' });
    await consumer.skip(range);
  }
  await scene.caughtUp();
  // The tombstone that follows the delete is no change.
  assert.deepEqual([...seen], ['create {"id":1} "good"', 'create {"id":4} "good"', 'delete {"id":1} null']);
});

test('with onPoison what cannot be handled is kept by the service, and the partition goes on', { timeout: 60_000 }, async () => {
  await using scene = await atLeastOnceScene({ partitions: 1 });
  const kept: Pick<PoisonedChange, 'code' | 'key' | 'value' | 'cause'>[] = [];
  const seen = new Set<string>();
  let failed = false;
  await using consumer = await scene.start(
    async (changes) => {
      const poison = changes.find(({ after }) => after?.['status'] === 'bad');
      if (poison !== undefined) throw new Poison(poison, 'no such customer');
      for (const change of changes) seen.add(changeOf(lineOf(change)));
    },
    {
      async onPoison({ code, key, value, cause, change }) {
        // Once in vain: it is called again, and nothing is committed meanwhile.
        if (!failed) {
          failed = true;
          throw new Error('the store is away');
        }
        kept.push({ code, key, cause, value: change === null ? value : (change.name satisfies 'orders') });
      },
    },
  );
  await scene.send(
    upsert('orders', order(2, 1, 'bad')),
    { key: '{"id":3}', value: 'no event' },
    upsert('orders', order(2, 1, 'good'), 'u'),
  );
  await scene.caughtUp();
  assert.deepEqual([...seen], ['update {"id":2} "good"']);
  assert.deepEqual(
    kept.map(({ code, key, value }) => [code, key, value]),
    [
      ['CONSUMER_POISON', '{"id":2}', 'orders'],
      ['EVENT_UNDECODABLE', '{"id":3}', 'no event'],
    ],
  );
  assert.ok(failed);
  assert.equal((await consumer.status()).partitions[0]?.halted, null);
});

for (const client of ['kafkajs', 'platformatic'] as const)
  test(`events that Kafka deleted before they were handled halt the partition by name (${client})`, { timeout: 90_000 }, async () => {
    await using scene = await atLeastOnceScene({ partitions: 1, client });
    const seen: string[] = [];
    const handle = async (changes: readonly Parameters<typeof lineOf>[0][]): Promise<void> => void seen.push(...changes.map(lineOf));
    await scene.change(5);
    {
      await using first = await scene.start(handle);
      await scene.caughtUp();
      void first;
    }
    await scene.change(5);
    await deleteRecords(scene.topic, 0, 8n);
    await using consumer = await scene.start(handle);
    const halted = await eventually(
      async () => (await consumer.status()).partitions[0]?.halted ?? null,
      (halt) => halt !== null,
    );
    assert.equal(halted?.code, 'CONSUMER_EVENTS_LOST');
    assert.equal(seen.length, 5);
    await consumer.skip(rangeOf(halted.remedy));
    await scene.caughtUp();
    assert.equal(seen[5]?.split(' ')[0], '0/8');
  });

test(
  'a topic that is made again is handed over from its beginning, also by who was in the middle of the old one',
  { timeout: 90_000 },
  async () => {
    await using scene = await atLeastOnceScene({ partitions: 1 });
    const seen = new Set<string>();
    const old = await scene.change(5);
    await using consumer = await scene.start(async (changes) => changes.forEach((change) => seen.add(changeOf(lineOf(change)))));
    await scene.caughtUp();
    await scene.admin.deleteTopics([scene.topic]);
    await eventually(
      () => scene.admin.listTopics(),
      (topics) => !topics.includes(scene.topic),
    );
    await scene.admin.ensureTopics([{ topic: scene.topic, partitions: 1, replicationFactor: 1 }]);
    const now = await scene.change(20);
    await eventually(
      async () => [...seen].toSorted(),
      (lines) => lines.length === 25,
    );
    assert.deepEqual([...seen].toSorted(), [...old, ...now].toSorted());
    void consumer;
  },
);

test(
  'a handler that does not end in time, and one that hangs at the end, are given up; options of a database are refused',
  { timeout: 60_000 },
  async () => {
    await using scene = await atLeastOnceScene({ partitions: 1 });
    await scene.change(1);
    let aborted = 0;
    await using consumer = await scene.start(
      (_changes, { signal }) =>
        new Promise((_resolve) => {
          signal.addEventListener('abort', () => (aborted += 1));
        }),
      { handlerTimeoutMs: 50, endTimeoutMs: 100 },
    );
    await eventually(
      async () => (await consumer.status()).partitions[0]?.trouble?.code,
      (code) => code === 'CONSUMER_HANDLER_TIMEOUT',
    );
    assert.ok(aborted > 0);
    await consumer[Symbol.asyncDispose]();
    assert.equal((await scene.committed()).get(0), 0n);
    await assert.rejects(scene.start(idle, JSON.parse('{ "schema": "other" }')), { code: 'CONSUMER_INVALID' });
    await assert.rejects(scene.start(idle, JSON.parse('{ "onError": "park" }')), { code: 'CONSUMER_INVALID' });
  },
);
