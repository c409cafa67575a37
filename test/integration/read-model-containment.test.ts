import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, escapeIdentifier } from 'pg';
import { pino } from 'pino';
import type { OutgoingMessage } from '#kafka/index.ts';
import { pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { readModelStatus } from '#read-model/status.ts';
import { partitionStatus } from '#test/support/read-model-status.ts';
import { customer, order, product, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { cdcReadModel } from '#test/support/terminal.ts';

/** Whatever an event says, or the read database does: it is applied, parked, or its table halts by name; nothing else stops. */

const halts = async (model: ReadModelFixture) =>
  (await partitionStatus(model.config)).flatMap(({ topic, partition, halted }) =>
    halted === null ? [] : [{ topic, partition, ...halted }],
  );

const idsOf = async (model: ReadModelFixture, table: string): Promise<string> =>
  (await model.read.query(`SELECT id FROM model.${table} ORDER BY id`)).map(({ id }) => id).join();

/** Both tables are applied up to these ids. */
async function reaches(model: ReadModelFixture, customers: string, orders: string): Promise<void> {
  await eventually(
    async () => [await idsOf(model, 'customers'), await idsOf(model, 'orders')],
    (found) => found[0] === customers && found[1] === orders,
    120_000,
  );
}

function withSettings(config: PipelineConfig, settings: Readonly<Record<string, unknown>>): PipelineConfig {
  const { model } = config.readModel?.models ?? {};
  return pipelineSchema.parse({ ...config, readModel: { ...config.readModel, models: { model: { ...model, ...settings } } } });
}

const long = 'm'.repeat(64);
const twins = ['t'.repeat(63) + 'a', 't'.repeat(63) + 'b'];
const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`c${index}`, 1]));

const unfit = {
  'a name that Postgres would cut': { columns: { [long]: 'v' }, reported: /has a name of 64 bytes, and Postgres keeps 63/ },
  'two names that differ only where Postgres cuts': { columns: Object.fromEntries(twins.map((name) => [name, 1])), reported: /64 bytes/ },
  'the name of a system column': {
    columns: { xmin: 'v' },
    reported: /column "xmin" is called as a column that every table of Postgres has/,
  },
  'no name': { columns: { '': 'v' }, reported: /a column without a name/ },
  'a NUL in the name': { columns: { 'nul\0x': 'v' }, reported: /has a NUL in its name/ },
  'the name of a column of ours': { columns: { _lsn: 5 }, reported: /the mirror has a column _lsn of its own/ },
  'more columns than a table can have': { columns: many, reported: /would have 50\d\d columns, and Postgres takes 1600/ },
} as const;

for (const [what, { columns, reported }] of Object.entries(unfit)) {
  test(
    `an event whose column has ${what}: its table halts by name, others go on, and it goes on as the remedy says`,
    { timeout: 300_000 },
    async () => {
      await using model = await createReadModel({ partitions: 1 });
      await model.send('customers', [
        upsert('customers', customer(1)),
        upsert('customers', { ...customer(2), ...columns }),
        upsert('customers', customer(3)),
      ]);
      await model.send('orders', [upsert('orders', order(1, 1))]);
      {
        await using running = await model.start();
        const [halt] = await eventually(
          () => halts(model),
          (found) => found.length > 0,
          120_000,
        );
        assert.equal(halt?.code, 'READ_MODEL_COLUMN_UNFIT');
        assert.equal(halt.topic, model.topic('customers'));
        assert.match(halt.cause, reported);
        assert.match(halt.cause, /partition 0, offset 1/);
        assert.match(halt.remedy, /ignoreColumns.*onSchemaChange: park/);
        await reaches(model, '1', '1');
        void running;
      }
      // Either half of the remedy, word for word.
      const names = Object.keys(columns);
      const isFew = names.length < 3;
      const settings = isFew ? { ignoreColumns: names.map((name) => `public.customers.${name}`) } : { onSchemaChange: 'park' };
      const config = withSettings(model.config, settings);
      await using again = await startReadModel({ config, logger: silentLogger, signal: new AbortController().signal });
      await reaches(model, isFew ? '1,2,3' : '1,3', '1');
      if (!isFew) {
        const [parked] = await model.read.query(`SELECT id, code FROM model.parked_events WHERE state = 'parked'`);
        assert.equal(parked?.['code'], 'READ_MODEL_COLUMN_UNFIT');
        await cdcReadModel(config, 'parked', 'discard', parked['id'] ?? '', '--model', 'model');
        assert.deepEqual(await model.read.query(`SELECT id FROM model.parked_events WHERE state = 'parked'`), []);
      }
      void again;
    },
  );
}

test(
  'what the role or the operator ends is tried again: cancelled statements, timeouts, ended sessions',
  { timeout: 300_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1 });
    const name = escapeIdentifier(model.read.name);
    await model.read.query(
      `ALTER DATABASE ${name} SET statement_timeout = 300; ALTER DATABASE ${name} SET lock_timeout = 300; ALTER DATABASE ${name} SET idle_session_timeout = 300;
     ALTER DATABASE ${name} SET idle_in_transaction_session_timeout = 300`,
    );
    await using running = await model.start();
    const holder = new Client(model.read.owner);
    await holder.connect();
    try {
      await holder.query('SET statement_timeout = 0; SET idle_session_timeout = 0; SET idle_in_transaction_session_timeout = 0');
      for (const end of ['pg_cancel_backend', 'pg_terminate_backend']) {
        // What is to be applied waits for this lock, so there is a statement to end.
        await holder.query('BEGIN; LOCK TABLE model.customers IN ACCESS EXCLUSIVE MODE');
        await model.send('customers', [upsert('customers', customer(1, end))]);
        await eventually(
          async () =>
            (
              await holder.query(
                `SELECT ${end}(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cdc read-model' AND wait_event_type = 'Lock'
                  AND clock_timestamp() - query_start > interval '1 second'`,
              )
            ).rows,
          (ended) => ended.length > 0,
          120_000,
        );
        await holder.query('COMMIT');
        await eventually(
          async () => (await holder.query<{ name: string }>('SELECT name FROM model.customers')).rows,
          (rows) => rows[0]?.name === end,
          120_000,
        );
      }
    } finally {
      await holder.end();
    }
    void running;
  },
);

test('what passes and lasts shows in the status, and goes on by itself', { timeout: 300_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  await using running = await model.start();
  await model.read.query(
    `CREATE FUNCTION full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
     CREATE TRIGGER full_disk BEFORE INSERT ON model.customers FOR EACH ROW EXECUTE FUNCTION full()`,
  );
  await model.send('customers', [upsert('customers', customer(1))]);
  const [wait] = await eventually(
    () => halts(model),
    (found) => found.length > 0,
    120_000,
  );
  assert.equal(wait?.code, 'READ_MODEL_TRIES_AGAIN');
  assert.match(wait.cause, /no space left/);
  await model.send('orders', [upsert('orders', order(1, 1))]);
  await model.read.query('DROP TRIGGER full_disk ON model.customers');
  await reaches(model, '1', '1');
  assert.deepEqual(await halts(model), []);
  void running;
});

test(
  'a right that is missing, a table that is gone: the partition halts with the reason, others go on, and it goes on when that is fixed',
  { timeout: 300_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1 });
    await using running = await model.start();
    await model.read.query('ALTER TABLE model.customers RENAME TO elsewhere');
    await model.send('customers', [upsert('customers', customer(1))]);
    const [halt] = await eventually(
      () => halts(model),
      (found) => found.length > 0,
      120_000,
    );
    assert.ok(halt?.code === 'READ_MODEL_HALTED' || halt?.code === 'READ_MODEL_MIRROR_INVALID', halt?.code);
    assert.match(halt.cause, /customers/);
    await model.send('products', [upsert('products', product(1))]);
    await eventually(
      () => idsOf(model, 'products'),
      (ids) => ids === '1',
      120_000,
    );
    await model.read.query('ALTER TABLE model.elsewhere RENAME TO customers');
    await reaches(model, '1', '');
    void running;
  },
);

test('a model that ends does not end another of its process; status and the end say so', { timeout: 300_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  await migrateOrders(model.read.owner, 'strict');
  const { model: settings } = model.config.readModel?.models ?? {};
  const config = pipelineSchema.parse({
    ...model.config,
    readModel: {
      ...model.config.readModel,
      models: {
        model: settings,
        strict: { ...settings, groupId: `${model.groupId}-strict`, onPoison: 'stop' },
        missing: { ...settings, groupId: `${model.groupId}-missing` },
      },
    },
  });
  await model.send('orders', [{ key: '{"id":1}', value: 'junk' }, upsert('orders', order(2, 1))]);
  let log = '';
  const logger = pino({ level: 'error' }, { write: (line: string) => void (log += line) });
  const running = await startReadModel({ config, logger, signal: new AbortController().signal });
  let ended = false;
  running.closed.then(
    () => (ended = true),
    () => (ended = true),
  );
  const stops = await eventually(
    async () =>
      (await readModelStatus(config, ['model', 'strict'], silentLogger)).flatMap(({ model: name, stopped }) =>
        stopped === null ? [] : [`${name}: ${stopped.code}`],
      ),
    (found) => found.length > 0,
    120_000,
  );
  assert.deepEqual(stops, ['strict: EVENT_UNDECODABLE']);
  await eventually(
    () => idsOf(model, 'orders'),
    (ids) => ids === '2',
    120_000,
  );
  await model.send('customers', [upsert('customers', customer(1))]);
  await reaches(model, '1', '2');
  assert.equal(ended, false);
  assert.match(log, /READ_MODEL_NOT_MIGRATED/);
  await running[Symbol.asyncDispose]();
  await assert.rejects(running.closed);
});

function wide(id: number, count: number): OutgoingMessage {
  return upsert('customers', { ...customer(id), ...Object.fromEntries(Array.from({ length: count }, (_, at) => [`of_${id}_${at}`, at])) });
}

test(
  'events that together ask for more columns than a table can have, dropped ones among them: those that fit are applied, others parked, and no table waits',
  { timeout: 300_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1, settings: { onSchemaChange: 'park' } });
    const dropped = Array.from({ length: 300 }, (_, at) => `dropped_${at}`);
    await model.read.query(`ALTER TABLE model.customers ${dropped.map((name) => `ADD COLUMN ${name} int`).join(', ')}`);
    await model.read.query(`ALTER TABLE model.customers ${dropped.map((name) => `DROP COLUMN ${name}`).join(', ')}`);
    // Three more would each take hundreds of trials, were it tried.
    await model.send('customers', [wide(1, 700), wide(2, 700), wide(3, 700), wide(4, 500), wide(5, 700), upsert('customers', customer(6))]);
    await model.send('orders', [upsert('orders', order(1, 1))]);
    await using running = await model.start();
    await reaches(model, '1,4,6', '1');
    const parked = await model.read.query('SELECT event_offset, code FROM model.parked_events ORDER BY event_offset');
    assert.deepEqual(
      parked.map(({ code }) => code),
      Array.from({ length: 3 }, () => 'READ_MODEL_COLUMN_UNFIT'),
    );
    const [row] = await model.read.query(
      `SELECT count(*) FILTER (WHERE attname LIKE 'of\\_%') AS of FROM pg_attribute WHERE attrelid = 'model.customers'::regclass AND NOT attisdropped`,
    );
    assert.deepEqual(row, { of: '1200' });
    void running;
  },
);
