import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { pipelineSchema, silentLogger } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { partitionStatus } from '#test/support/read-model-status.ts';
import { hostileMessage } from '#test/support/hostile-events.ts';
import { customer, product, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';

const rounds = process.env['TEST_NIGHTLY'] === '1' ? 200 : 20;
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);

/**
 * Random messages in one topic, good events in another, two models in one process: one whose tables halt before what does not fit, one that
 * parks it. Nothing ends, the good table has all its rows, and each message was applied or parked, or its table halts with code, topic and
 * offset; with onSchemaChange: park it goes on to the end.
 */
test(`whatever the messages of a topic say (seed ${seed}, ${rounds} rounds)`, { timeout: 900_000 }, async (context) => {
  context.diagnostic(`FUZZ_SEED=${seed}`);
  await using model = await createReadModel({ partitions: 1, schemaRegistry: { url: 'http://127.0.0.1:9', requestTimeoutMs: 1000 } });
  await migrateOrders(model.read.owner, 'parking');
  const { model: settings } = model.config.readModel?.models ?? {};
  const configWith = (onSchemaChange: 'stop-table' | 'park') =>
    pipelineSchema.parse({
      ...model.config,
      readModel: {
        ...model.config.readModel,
        models: {
          model: { ...settings, onSchemaChange },
          parking: { ...settings, groupId: `${model.groupId}-parking`, onSchemaChange: 'park' },
        },
      },
    });
  const perRound = 5;
  const topic = model.topic('customers');
  const endOf = async (): Promise<bigint> => (await model.admin.offsetsOf(topic))[0]?.high ?? 0n;
  const appliedTo = async (schema: string, of: string): Promise<bigint> =>
    BigInt((await model.read.query(`SELECT next_offset FROM ${schema}.applied_offsets WHERE topic = $1`, [of]))[0]?.['next_offset'] ?? 0);
  let ended: unknown;
  {
    const config = configWith('stop-table');
    await using running = await startReadModel({ config, logger: silentLogger, signal: new AbortController().signal });
    running.closed.catch((error: unknown) => (ended = error));
    for (let round = 0; round < rounds; round += 1) {
      const hostile = Array.from({ length: perRound }, (_, at) =>
        fc.sample(hostileMessage(1000 + (round % 7)), { seed: seed + round * perRound + at, numRuns: 1 }),
      ).flat();
      await model.send('customers', [...hostile, upsert('customers', customer(round + 1))]);
      await model.send('products', [upsert('products', product(round + 1))]);
    }
    const end = await endOf();
    for (const schema of ['model', 'parking']) {
      await eventually(
        async () => (await model.read.query(`SELECT count(*) AS rows FROM ${schema}.products`))[0]?.['rows'],
        (rows) => rows === String(rounds),
        300_000,
      );
    }
    await eventually(
      () => appliedTo('parking', topic),
      (at) => at >= end,
      300_000,
    );
    const outcome = await eventually(
      async () => {
        const status = await partitionStatus(config, ['model']);
        const one = status.find((row) => row.topic === topic);
        return { done: one !== undefined && one.appliedOffset >= end, halted: one?.halted ?? null };
      },
      ({ done, halted }) => done || halted?.code.startsWith('READ_MODEL_') === true,
      300_000,
    );
    if (!outcome.done) {
      context.diagnostic(`${outcome.halted?.code}: ${outcome.halted?.cause.slice(0, 300)}`);
      assert.match(outcome.halted?.code ?? '', /^READ_MODEL_(?:SCHEMA_CHANGED|COLUMN_UNFIT)$/);
      assert.ok(outcome.halted?.cause.includes(topic));
      assert.match(outcome.halted?.cause ?? '', /offset \d+/);
    }
    assert.equal(ended, undefined);
    void running;
  }
  // What the remedy says: park them.
  const config = configWith('park');
  await using running = await startReadModel({ config, logger: silentLogger, signal: new AbortController().signal });
  running.closed.catch((error: unknown) => (ended = error));
  const end = await endOf();
  await eventually(
    () => appliedTo('model', topic),
    (at) => at >= end,
    300_000,
  );
  for (const schema of ['model', 'parking']) {
    const [log] = await model.read.query(`SELECT sum(events) + sum(parked) AS all FROM ${schema}.apply_log WHERE topic = $1`, [topic]);
    assert.equal(log?.['all'], String(rounds * (perRound + 1)), 'each was applied or parked');
    const bad = await model.read.query(`SELECT code FROM ${schema}.parked_events WHERE cause = '' OR code NOT SIMILAR TO '[A-Z_]+'`);
    assert.deepEqual(bad, []);
  }
  const same = (schema: string) => model.read.query(`SELECT id, name, email FROM ${schema}.customers ORDER BY id`);
  assert.deepEqual(await same('model'), await same('parking'));
  assert.equal(ended, undefined);
});
