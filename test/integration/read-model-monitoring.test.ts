import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import getPort from 'get-port';
import { pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import { createMuteProxy } from '#test/support/mute-proxy.ts';
import { customer, order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';

type Answer = { readonly status: number; readonly text: string };

function watched(model: ReadModelFixture, port: number, more: Readonly<Record<string, unknown>> = {}): PipelineConfig {
  return pipelineSchema.parse({ ...model.config, readModel: { ...model.config.readModel, ...more, http: { port } } });
}

/** What the monitoring of a process answers; status 0 while nothing listens. */
function asking(port: number): (path: string) => Promise<Answer> {
  return async (path) => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: response.status, text: await response.text() };
    } catch {
      return { status: 0, text: 'nothing listens' };
    }
  };
}

const start = (config: PipelineConfig) => startReadModel({ config, logger: silentLogger, signal: new AbortController().signal });

test(
  'a process that applies is ready and shows what it has applied and parked; a table that halts makes it unready, by name; a restart that goes on makes it ready',
  { timeout: 300_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1 });
    const port = await getPort();
    const ask = asking(port);
    const metric = async (pattern: RegExp): Promise<unknown> =>
      await eventually(
        () => ask('/metrics'),
        ({ text }) => pattern.test(text),
        120_000,
      );
    const readyz = (status: number): Promise<Answer> =>
      eventually(
        () => ask('/readyz'),
        (answer) => answer.status === status,
        120_000,
      );
    const orders = model.topic('orders');
    {
      await using running = await start(watched(model, port));
      assert.equal((await readyz(200)).text, '{"ready":true,"reasons":[]}\n');
      assert.equal((await ask('/livez')).status, 200);
      await metric(/^cdc_read_model_state\{model="model",state="consuming"\} 1$/m);
      await model.send('orders', [upsert('orders', order(1, 1)), { key: '{"id":2}', value: 'junk' }]);
      await metric(new RegExp(`^cdc_read_model_parked_events\\{model="model",topic="${orders}",partition="0"\\} 1$`, 'm'));
      await metric(new RegExp(`^cdc_read_model_lag_offsets\\{model="model",topic="${orders}",partition="0"\\} 0$`, 'm'));
      // Offsets: two events and the record that commits them.
      await metric(new RegExp(`^cdc_read_model_applied_offset\\{model="model",topic="${orders}",partition="0"\\} 3$`, 'm'));
      // No heartbeat has come: its age is not known, which is not fresh.
      await metric(/^cdc_read_model_stale\{model="model"\} 1$/m);
      assert.equal((await readyz(200)).status, 200, 'a parked event is for a person, and holds nothing up');
      const status: unknown = JSON.parse((await ask('/status')).text);
      assert.ok(typeof status === 'object' && status !== null && 'states' in status && 'unreadable' in status);
      assert.deepEqual([status.states, status.unreadable], [{ model: 'consuming' }, {}]);

      await model.send('customers', [upsert('customers', { ...customer(1), _lsn: 5 })]);
      const unready = await readyz(503);
      assert.match(unready.text, new RegExp(`model model halts at ${model.topic('customers')}/0: READ_MODEL_COLUMN_UNFIT`));
      await metric(new RegExp(`^cdc_read_model_halted\\{model="model",topic="${model.topic('customers')}",partition="0"\\} 1$`, 'm'));
      void running;
    }
    assert.equal((await ask('/livez')).status, 0, 'the address is free again');
    const { model: settings } = model.config.readModel?.models ?? {};
    await using again = await start(watched(model, port, { models: { model: { ...settings, ignoreColumns: ['public.customers._lsn'] } } }));
    await readyz(200);
    void again;
  },
);

test('a read database that falls silent makes the process unready within seconds, and leaves it alive', { timeout: 300_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  const { host, port: databasePort } = model.read.config;
  const port = await getPort();
  const ask = asking(port);
  await using stack = new AsyncDisposableStack();
  const proxy = await createMuteProxy({ host, port: databasePort });
  stack.use(await start(watched(model, port, { host: '127.0.0.1', port: proxy.port })));
  // Ended before the read model: nobody would answer its farewells.
  stack.use(proxy);
  await eventually(
    () => ask('/readyz'),
    ({ status }) => status === 200,
    120_000,
  );
  proxy.mute();
  const unready = await eventually(
    () => ask('/readyz'),
    ({ status }) => status === 503,
    120_000,
  );
  assert.match(unready.text, /model model cannot be read: /);
  assert.equal((await ask('/livez')).status, 200);
});

test(
  'a model that waits for its topics is alive and not ready, and one whose schema is missing is named',
  { timeout: 300_000 },
  async () => {
    await using model = await createReadModel({ topics: false });
    const port = await getPort();
    const ask = asking(port);
    const { model: settings } = model.config.readModel?.models ?? {};
    const models = { model: settings, missing: { ...settings, groupId: `${model.groupId}-missing` } };
    await using running = await start(watched(model, port, { models }));
    const { text } = await eventually(
      () => ask('/readyz'),
      (answer) => answer.text.includes('waiting for topics'),
      120_000,
    );
    assert.match(text, /"model model is waiting for topics"/);
    assert.match(text, /"model missing is ended","model missing cannot be read: [^"]*missing/);
    assert.match((await ask('/metrics')).text, /^cdc_read_model_version\{model="model"\} 1$/m, 'the one that can be read is shown');
    void running;
  },
);

test('an address for monitoring that is taken ends the start by name, and leaves nothing open', async () => {
  await using model = await createReadModel({ partitions: 1 });
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await assert.rejects(start(watched(model, port)), { code: 'MONITORING_UNAVAILABLE', message: /^readModel\.http: cannot listen on/ });
  server.close();
});
