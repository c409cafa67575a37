import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { silentLogger } from '#pipeline/index.ts';
import { migrate } from '#read-model/index.ts';
import { dropVersions, rebuild, type RebuildOptions } from '#read-model/rebuild/rebuild.ts';
import { partitionStatus } from '#test/support/read-model-status.ts';
import { customer, order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';

/** A reader that holds a mirror for long keeps nobody waiting behind it: what is to be altered asks for a moment, and comes again. */

test(
  'an open transaction on a mirror that is to get a column: other readers read on, other tables are applied, the status says who holds it',
  { timeout: 300_000 },
  async () => {
    await using model = await createReadModel({ partitions: 2 });
    await using running = await model.start();
    const [holder, reader] = [new Client(model.read.owner), new Client(model.read.owner)];
    await Promise.all([holder.connect(), reader.connect()]);
    try {
      await holder.query('BEGIN; SELECT count(*) FROM model.customers');
      await model.send(
        'customers',
        [1, 2, 3, 4].map((id) => upsert('customers', { ...customer(id), nickname: 'n' })),
      );
      const waits = async () => (await partitionStatus(model.config)).flatMap(({ halted }) => (halted === null ? [] : [halted]));
      const [wait] = await eventually(waits, (found) => found.length > 0, 120_000);
      assert.equal(wait?.code, 'READ_MODEL_LOCKED');
      assert.ok(wait.cause.includes(`pid ${await pidOf(holder)} `), wait.cause);
      // While nobody waits for more than its moment, each of these reads gets its turn between two tries.
      await reader.query(`SET lock_timeout = '60s'`);
      for (let read = 0; read < 20; read += 1) await reader.query('SELECT count(*) FROM model.customers');
      await model.send('orders', [upsert('orders', order(1, 1))]);
      await eventually(
        () => model.read.query('SELECT id FROM model.orders'),
        (found) => found.length === 1,
        120_000,
      );
      // Nothing of ours waits for the table for longer than the moment it asks for, nor holds what applying needs.
      const tries = await eventually(
        async () => {
          const found = await model.read.query(
            `SELECT count(*) AS old FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE NOT l.granted AND a.application_name = 'cdc read-model' AND clock_timestamp() - l.waitstart > interval '5 seconds'`,
          );
          return found[0]?.['old'];
        },
        (old) => old === '0',
      );
      assert.equal(tries, '0');
      await holder.query('COMMIT');
      await eventually(
        () => model.read.query(`SELECT id FROM model.customers c WHERE to_jsonb(c) ->> 'nickname' = 'n' ORDER BY id`),
        (found) => found.length === 4,
        120_000,
      );
      assert.deepEqual(await waits(), []);
    } finally {
      await Promise.all([holder.end(), reader.end()]);
    }
    void running;
  },
);

/** Rows of a mirror's size that is worth statistics. */
const large = (id: number) => upsert('customers', { ...customer(id), name: 'n'.repeat(1000) });

async function pidOf(client: Client): Promise<string> {
  const { rows } = await client.query<{ pid: string }>('SELECT pg_backend_pid()::text AS pid');
  return rows[0]?.pid ?? '';
}

test(
  'a switch waits for no reader, and a moment at a time for who holds the positions; a drop a moment at a time for readers; both name them',
  { timeout: 400_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1 });
    await using running = await model.start();
    await model.send('customers', [upsert('customers', customer(1))]);
    await model.caughtUp();
    const [long, holder, reader] = [new Client(model.read.owner), new Client(model.read.owner), new Client(model.read.owner)];
    await Promise.all([long, holder, reader].map((client) => client.connect()));
    try {
      await long.query('BEGIN; SELECT count(*) FROM model.customers');
      await holder.query('BEGIN; LOCK TABLE model.applied_offsets IN ROW SHARE MODE');
      await reader.query(`SET lock_timeout = '60s'`);
      const said: string[] = [];
      const options: RebuildOptions = {
        config: model.config,
        model: 'model',
        logger: silentLogger,
        signal: new AbortController().signal,
        onProgress: ({ waitsFor }) => said.push(waitsFor),
        onWait: (what) => said.push(what),
      };
      const saidOf = async (client: Client): Promise<void> => {
        const of = `pid ${await pidOf(client)} `;
        await eventually(
          async () => said.some((what) => what.includes(of)),
          (isSaid) => isSaid,
          120_000,
        );
      };
      const switching = rebuild(options, true);
      switching.catch(() => undefined);
      await saidOf(holder);
      for (let id = 2; id < 5; id += 1) {
        await model.send('customers', [upsert('customers', customer(id))]);
        await model.caughtUp();
        const { rows } = await reader.query<{ count: string }>('SELECT count(*)::text AS count FROM model.customers');
        assert.equal(rows[0]?.count, String(id));
      }
      assert.deepEqual(await model.read.query('SELECT version FROM model.model_version'), [{ version: '1' }]);
      await holder.query('COMMIT');
      assert.equal(await switching, 2);

      const dropping = dropVersions(options, 'previous');
      dropping.catch(() => undefined);
      await saidOf(long);
      for (let read = 0; read < 20; read += 1) {
        for (const table of ['customers', 'orders', 'order_view']) await reader.query(`SELECT count(*) FROM model__v1.${table}`);
      }
      await long.query('COMMIT');
      assert.deepEqual(await dropping, [1]);
    } finally {
      await Promise.all([long, holder, reader].map((client) => client.end()));
    }
    void running;
  },
);

test('whoever vacuums a mirror, or builds an index on it, does not keep its events from being applied', { timeout: 300_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  const owner = new Client(model.read.owner);
  await owner.connect();
  try {
    await owner.query('BEGIN; LOCK TABLE model.customers IN SHARE UPDATE EXCLUSIVE MODE');
    await using running = await model.start();
    // Large enough to be worth statistics, then transactions enough to be looked at again and again.
    const first = Array.from({ length: 1500 }, (_, id) => large(id));
    for (const messages of [first, ...first.slice(0, 20).map((message) => [message])]) {
      await model.send('customers', messages);
      await model.caughtUp();
    }
    void running;
  } finally {
    await owner.end();
  }
});

test('migrate waits for a table a moment at a time too, and goes on when it is free', { timeout: 300_000 }, async () => {
  await using model = await createReadModel({ topics: false });
  const { read } = model;
  // As an older program left it.
  await read.query(
    `ALTER TABLE model.applied_offsets DROP COLUMN topic_id;
     ALTER TABLE model.model_version DROP COLUMN stopped_code, DROP COLUMN stopped_cause, DROP COLUMN stopped_remedy, DROP COLUMN stopped_at;
     DELETE FROM model.knex_migrations WHERE name = '009-topic-identity.sql'`,
  );
  const holder = new Client(read.owner);
  await holder.connect();
  try {
    await holder.query('BEGIN; SELECT count(*) FROM model.applied_offsets');
    const waited = Promise.withResolvers<string>();
    const migrating = migrate(read.owner, { schema: 'model', onWait: waited.resolve });
    const said = await waited.promise;
    assert.match(said, /schema model waits to be altered/);
    assert.ok(said.includes(`pid ${await pidOf(holder)} `), said);
    await holder.query('COMMIT');
    assert.deepEqual((await migrating).files, ['009-topic-identity.sql']);
  } finally {
    await holder.end();
  }
});
