import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { OutgoingMessage } from '#kafka/index.ts';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { skipUnreadable, type SkipRange } from '#read-model/faults/skip.ts';
import { partitionStatus } from '#test/support/read-model-status.ts';
import { boundaryTopic } from '#read-model/transactions/boundary.ts';
import { customer, order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { recordBatch } from '#test/support/record-batches.ts';
import { produceBatch } from '#test/support/raw-produce.ts';

const mebibyte = 2 ** 20;

type Halted = {
  readonly topic: string;
  readonly partition: number;
  readonly code: string;
  readonly cause: string;
  readonly remedy: string;
};

async function halted(model: ReadModelFixture): Promise<readonly Halted[]> {
  const status = await partitionStatus(model.config);
  return status.flatMap(({ topic, partition, halted: halt }) =>
    halt === null ? [] : [{ topic, partition, code: halt.code, cause: halt.cause, remedy: halt.remedy }],
  );
}

/** What the printed remedy would have `cdc read-model skip` pass over. */
function rangeOf(remedy: string): SkipRange {
  const found =
    /cdc read-model skip --model (?<model>\S+) --topic (?<topic>\S+) --partition (?<partition>\d+) --from (?<from>\d+) --to (?<to>\d+)$/.exec(
      remedy,
    );
  assert.ok(found?.groups, remedy);
  const { topic = '', partition, from = '', to = '' } = found.groups;
  return { topic, partition: Number(partition), offset: BigInt(from), nextOffset: BigInt(to) };
}

function record({ key, value }: OutgoingMessage): { readonly key: string | Buffer | null; readonly value: string | Buffer | null } {
  return { key, value };
}

const blanks = (mebibytes: number): Buffer =>
  recordBatch([{ key: '{"id":99}', value: Buffer.alloc(mebibytes * mebibyte, ' ') }], { packer: 'zstd' });

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(
    `${client}: a partition halts before a batch that unpacks to more than it may, by name; the others go on; the printed command skips it and nothing else`,
    { timeout: 300_000 },
    async () => {
      await using model = await createReadModel({ client, partitions: 1, maxBatchMb: 1 });
      await using running = await model.start();
      const topic = model.topic('orders');
      await produceBatch(topic, 0, recordBatch([record(upsert('orders', order(1, 1)))]));
      await produceBatch(topic, 0, blanks(3));
      await produceBatch(topic, 0, recordBatch([record(upsert('orders', order(2, 1)))]));
      const [stopped, ...more] = await eventually(
        () => halted(model),
        (found) => found.length > 0,
      );
      assert.deepEqual(more, []);
      assert.ok(stopped);
      assert.deepEqual([stopped.topic, stopped.partition, stopped.code], [topic, 0, 'KAFKA_BATCH_TOO_LARGE']);
      assert.match(stopped.cause, /offsets 1 to 1: a batch of records takes more than 1 MiB/);
      assert.match(stopped.remedy, /raise kafka\.maxBatchMb/);
      await model.send('customers', [upsert('customers', customer(1))]);
      await eventually(
        () => model.read.query('SELECT id FROM model.customers'),
        (rows) => rows.length === 1,
      );
      assert.deepEqual(await model.read.query('SELECT id FROM model.orders'), [{ id: '1' }]);

      const range = rangeOf(stopped.remedy);
      for (const wrong of [
        { ...range, nextOffset: 3n },
        { ...range, offset: 0n },
        { ...range, partition: 1 },
      ]) {
        await assert.rejects(
          skipUnreadable(model.config, model.schema, wrong, silentLogger),
          (error) => error instanceof CdcError && error.code === 'READ_MODEL_SKIP_REFUSED',
        );
      }
      await skipUnreadable(model.config, model.schema, range, silentLogger);
      await eventually(
        () => model.read.query('SELECT id FROM model.orders ORDER BY id'),
        (rows) => rows.length === 2,
      );
      assert.deepEqual(await halted(model), []);
      assert.deepEqual(await model.read.query('SELECT event_offset, state, code FROM model.parked_events'), [
        { event_offset: '1', state: 'discarded', code: 'KAFKA_BATCH_TOO_LARGE' },
      ]);
      void running;
    },
  );
}

test('a model that stops at what it cannot apply stops there, by name', { timeout: 300_000 }, async () => {
  await using model = await createReadModel({ partitions: 1, maxBatchMb: 1, settings: { onPoison: 'stop' } });
  await produceBatch(model.topic('orders'), 0, blanks(3));
  await using running = await model.start();
  await assert.rejects(running.closed, (error) => error instanceof CdcError && error.code === 'KAFKA_BATCH_TOO_LARGE');
});

test(
  'a model that puts transactions together waits before such a batch, by name, and goes on when it is passed over',
  { timeout: 300_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1, maxBatchMb: 1, settings: { consistency: 'transaction' } });
    const boundary = boundaryTopic(model.prefix);
    await model.admin.ensureTopics([{ topic: boundary, partitions: 1, replicationFactor: 1 }]);
    try {
      await using running = await model.start();
      await produceBatch(model.topic('orders'), 0, blanks(3));
      await produceBatch(model.topic('orders'), 0, recordBatch([record(upsert('orders', order(2, 1)))]));
      const [stopped] = await eventually(
        () => halted(model),
        (found) => found.length > 0,
      );
      assert.equal(stopped?.code, 'KAFKA_BATCH_TOO_LARGE');
      await skipUnreadable(model.config, model.schema, rangeOf(stopped.remedy), silentLogger);
      await eventually(
        () => model.read.query('SELECT id FROM model.orders'),
        (rows) => rows.length === 1,
      );
      void running;
    } finally {
      await model.admin.deleteTopics([boundary]);
    }
  },
);

/** The most memory that the process has ever had, in bytes. */
async function peakOf(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

test('200 MiB of blanks in 8 kB do not take the memory of the process, and it goes on', { timeout: 300_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  await produceBatch(model.topic('orders'), 0, blanks(200));
  const child = model.spawn();
  await eventually(
    () => halted(model),
    (found) => found.length > 0,
  );
  await model.send('customers', [upsert('customers', customer(1))]);
  await eventually(
    () => model.read.query('SELECT id FROM model.customers'),
    (rows) => rows.length === 1,
  );
  assert.equal(child.exitCode, null);
  const peak = await peakOf(child.pid);
  assert.ok(peak < 600 * mebibyte, `it had ${Math.round(peak / mebibyte)} MiB`);
});
