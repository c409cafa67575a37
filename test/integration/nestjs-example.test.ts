import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { testKafkaConfig } from '#test/support/kafka.ts';
import { order, remove, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { killed } from '#test/support/read-model.ts';
import { createService } from '#test/support/sdk.ts';

const run = promisify(execFile);

/** The example as whoever copies it has it: installed by npm with the package's tarball, and compiled. */
async function buildExample(base: string): Promise<string> {
  const [built, folder] = [join(base, 'built'), join(base, 'service')];
  await run(process.execPath, [join(repositoryRoot, 'packaging/build.ts'), built], { cwd: repositoryRoot });
  await run('npm', ['pack', '--pack-destination', base], { cwd: built });
  const tarball = (await readdir(base)).find((name) => name.endsWith('.tgz')) ?? '';
  await cp(join(repositoryRoot, 'examples/nestjs-service'), folder, { recursive: true });
  const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', join(base, tarball)];
  await run('npm', install, { cwd: folder });
  await run('npm', ['run', 'build'], { cwd: folder });
  return folder;
}

test(
  'the NestJS service counts each order once, also when it is killed, and keeps what it cannot handle',
  { timeout: 300_000 },
  async () => {
    await using stack = new AsyncDisposableStack();
    const base = await mkdtemp(join(tmpdir(), 'cdc-nestjs-'));
    stack.defer(() => rm(base, { recursive: true }));
    const folder = await buildExample(base);
    const service = stack.use(await createService());
    const { user, password, host, port: at, database } = service.read.config;
    const port = await getPort({ host: '127.0.0.1' });
    const env = {
      ...process.env,
      LOG_LEVEL: 'error',
      PORT: String(port),
      DATABASE_URL: `postgres://${user}:${encodeURIComponent(password)}@${host}:${at}/${database}`,
      KAFKA_BROKERS: (await testKafkaConfig()).brokers.join(','),
      ORDERS_TOPIC: service.topic,
    };
    const start = (): ChildProcess =>
      spawn(process.execPath, ['dist/main.js'], { cwd: folder, env, stdio: ['ignore', 'inherit', 'inherit'] });
    const ask = async (path: string): Promise<{ readonly status: number; readonly body: unknown }> => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => null);
      return answer === null ? { status: 0, body: null } : { status: answer.status, body: await answer.json().catch(() => null) };
    };
    await service.send(...Array.from({ length: 200 }, (_, index) => upsert('orders', order(index + 1, (index % 4) + 1))));
    const first = start();
    await eventually(
      () => service.read.query('SELECT FROM orders_seen').catch(() => []),
      (rows) => rows.length > 0,
    );
    await killed(first);
    await service.send(
      ...remove('orders', 3),
      upsert('orders', order(6, 2, 'odd'), 'u'),
      upsert('orders', order(6, 2, 'paid'), 'u'),
      upsert('orders', order(7, 3, 'paid'), 'u'),
    );
    const second = start();
    await service.caughtUp();
    const customers = await Promise.all([1, 2, 3, 4].map(async (id) => (await ask(`/customers/${id}`)).body));
    assert.deepEqual(
      customers,
      [50, 50, 49, 50].map((orders, index) => ({ customer: index + 1, orders })),
    );
    assert.equal((await ask('/customers/9')).status, 404);
    assert.equal((await ask('/customers/x')).status, 400);
    assert.equal((await ask('/livez')).status, 200);
    const ready = await eventually(
      () => ask('/readyz'),
      ({ status }) => status === 200,
    );
    assert.ok(JSON.stringify(ready.body).startsWith('{"state":"consuming"'));
    const parked = await service.read.query(
      `SELECT code, cause FROM cdc_consumer.parked_events WHERE state = 'parked' ORDER BY event_offset`,
    );
    assert.deepEqual(
      parked.map(({ code }) => code),
      ['CONSUMER_POISON', 'BEHIND'],
    );
    assert.match(String(parked[0]?.['cause']), /order 6 has the status odd/);
    const ended = once(second, 'exit');
    second.kill('SIGTERM');
    // Nest ends itself by the signal that it was sent, when all is closed.
    assert.deepEqual(await ended, [null, 'SIGTERM']);
  },
);
