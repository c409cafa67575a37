import { nodeFlags } from '#pipeline/index.ts';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { Client } from 'pg';
import { waitFor } from '#stack/index.ts';
import { docker } from '#test/support/container-images.ts';
import { uniqueName } from '#test/support/stack.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

describe('docker compose', () => {
  const signal = AbortSignal.timeout(280_000);
  const project = uniqueName('cdc-compose');
  let folder: string;
  let environment: Record<string, string>;
  const compose = (...args: readonly string[]): Promise<string> => docker(composeArguments(args), signal);
  const composeArguments = (args: readonly string[]): string[] => [
    'compose',
    '--project-name',
    project,
    '--env-file',
    join(folder, 'env'),
    ...args,
  ];
  const cdc = async (...args: readonly string[]): Promise<string> => {
    const flags = [...nodeFlags, 'cli.ts', ...args];
    return (await run(process.execPath, flags, { cwd: root, env: { ...process.env, ...environment }, signal })).stdout;
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cdc-compose-'));
    environment = await environmentOf(await readFile(join(root, '.env.example'), 'utf8'));
    const lines = Object.entries({ ...environment, ...images() }).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(join(folder, 'env'), lines.join(''), { mode: 0o600 });
    await compose('up', '--detach', '--wait', '--quiet-pull');
  });
  after(async () => {
    // Also when the time is over: nothing may stay behind.
    await docker(composeArguments(['down', '--volumes', '--timeout', '30']));
    await rm(folder, { recursive: true, force: true });
  });

  test('up --wait brings up the whole pipeline: cdc on this machine works against it, and a change reaches both read models', async () => {
    assert.match(await cdc('connectors', 'status'), /legacy-orders: RUNNING, 1 of 1 tasks RUNNING/);
    await sql('legacy', 'LEGACY_DB', 'legacy_owner', environment['LEGACY_DB_OWNER_PASSWORD'], [
      "UPDATE customers SET name = 'Grace' WHERE id = 1",
    ]);
    for (const model of ['query_model', 'log_model']) {
      await waitFor(
        async () => {
          const [name] = await sql('read_model', 'READ_DB', 'read_model', environment['READ_DB_PASSWORD'], [
            `SELECT name FROM ${model}.customers WHERE id = 1`,
          ]);
          return name === 'Grace';
        },
        { signal, timeoutMs: 60_000, describe: `the change in ${model}` },
      );
    }
  });

  test('programs run without root, cannot write to their file system, and end in order on SIGTERM', async () => {
    assert.equal((await compose('exec', '-T', 'poller', 'id', '-u')).trim(), '1000');
    await assert.rejects(compose('exec', '-T', 'poller', 'touch', '/app/x'), /Read-only file system/);
    await compose('stop', 'poller', 'read-model');
    const ids = (await compose('ps', '--all', '--quiet', 'poller', 'read-model')).split('\n');
    const codes = await Promise.all(ids.map((id) => docker(['inspect', '--format', '{{.State.ExitCode}}', id])));
    assert.deepEqual(codes, ['0', '0']);
  });

  test('a second up adds nothing to the legacy database', async () => {
    const earlier = await countOrders();
    await compose('up', '--detach', '--wait');
    assert.deepEqual(await countOrders(), earlier);
  });

  test('down --volumes leaves nothing', async () => {
    await compose('down', '--volumes', '--timeout', '30');
    const label = `label=com.docker.compose.project=${project}`;
    assert.equal(await docker(['ps', '--all', '--quiet', '--filter', label]), '');
    assert.equal(await docker(['volume', 'ls', '--quiet', '--filter', label]), '');
    assert.equal(await docker(['network', 'ls', '--quiet', '--filter', label]), '');
  });

  function countOrders(): Promise<string[]> {
    return sql('legacy', 'LEGACY_DB', 'legacy_owner', environment['LEGACY_DB_OWNER_PASSWORD'], ['SELECT count(*) FROM orders']);
  }

  async function sql(
    database: string,
    server: string,
    user: string,
    password: string | undefined,
    statements: readonly string[],
  ): Promise<string[]> {
    const client = new Client({ host: '127.0.0.1', port: Number(environment[`${server}_PORT`]), database, user, password });
    await client.connect();
    try {
      const answers: string[] = [];
      for (const statement of statements) {
        const { rows } = await client.query<string[]>({ text: statement, rowMode: 'array' });
        answers.push(...rows.flat().map(String));
      }
      return answers;
    } finally {
      await client.end();
    }
  }
});

/** .env.example as its own first lines say, with free ports. */
async function environmentOf(example: string): Promise<Record<string, string>> {
  const pairs = [...example.matchAll(/^([A-Z_0-9]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value] as const);
  const values = Object.fromEntries(pairs.map(([name, value]) => [name, value === 'change-me' ? randomBytes(12).toString('hex') : value]));
  for (const name of ['LEGACY_DB_PORT', 'READ_DB_PORT', 'KAFKA_PORT', 'CONNECT_PORT']) values[name] = String(await getPort());
  return {
    ...values,
    KAFKA_BROKERS: `localhost:${values['KAFKA_PORT'] ?? ''}`,
    CONNECT_URL: `http://localhost:${values['CONNECT_PORT'] ?? ''}`,
    CDC_JVM_OPTIONS: '-XX:+UseSerialGC -XX:TieredStopAtLevel=1',
  };
}

function images(): Record<string, string> {
  const names = ['CDC_IMAGE_POSTGRES', 'CDC_IMAGE_KAFKA', 'CDC_IMAGE_APP', 'CDC_IMAGE_CONNECT'] as const;
  return Object.fromEntries(
    names.map((name) => {
      const value = process.env[name];
      assert.ok(value, `${name} is not set: run container tests with npm run test:containers, which prepares the images`);
      return [name, value];
    }),
  );
}
