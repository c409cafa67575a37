import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { connectKafka } from '#kafka/index.ts';
import { nodeFlags, pipelineSchema, silentLogger } from '#pipeline/index.ts';
import { readStackState } from '#stack/state/state.ts';
import { docker } from '#test/support/container-images.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

/** Without Connect, which docker compose up (compose.test.ts) starts in the same way. */
describe('cdc stack up --as containers', () => {
  const signal = AbortSignal.timeout(30 * 60_000);
  let folder: string;
  let project: string;

  const cdc = async (...args: readonly string[]): Promise<string> =>
    (await run(process.execPath, [...nodeFlags, 'cli.ts', '--stack', folder, ...args], { cwd: root, signal })).stdout;
  const query = async (statement: string): Promise<unknown> => {
    const state = await readStackState(folder);
    assert.ok(state);
    const { host, port } = state.legacyServer;
    const { user, password } = state.roles.owner;
    const client = new Client({ host, port, user, password, database: 'legacy' });
    await client.connect();
    try {
      return (await client.query({ text: statement, rowMode: 'array' })).rows;
    } finally {
      await client.end();
    }
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cdc-stack-containers-'));
    await cdc('stack', 'up', '--no-connect', '--as', 'containers', '--with', 'schema-registry');
    project = (await readStackState(folder))?.containers?.project ?? '';
  });
  after(async () => {
    await run(process.execPath, [...nodeFlags, 'cli.ts', '--stack', folder, 'stack', 'reset'], { cwd: root });
    await rm(folder, { recursive: true, force: true });
  });

  test('commands of cdc find it by themselves, and clients on this machine reach its servers', async () => {
    assert.match(await cdc('stack', 'status'), /is up\b/);
    await cdc('legacy-db', 'migrate');
    await cdc('legacy-db', 'seed', '--customers', '5', '--products', '5', '--orders', '5');
    assert.deepEqual(await query('SELECT count(*) FROM orders'), [['5']]);
    const brokers = (await readStackState(folder))?.kafka.brokers;
    await using admin = await connectKafka(pipelineSchema.shape.kafka.parse({ brokers }), silentLogger).admin();
    assert.ok(Array.isArray(await admin.listTopics()));
    assert.match(await cdc('schemas', 'list'), /no subjects/);
  });

  test('down removes the containers and keeps the data, the ports and the passwords, and what further servers there were', async () => {
    const earlier = await readStackState(folder);
    await cdc('stack', 'down');
    assert.equal(await containers(), '');
    await cdc('stack', 'up', '--no-connect', '--as', 'containers');
    assert.deepEqual(await readStackState(folder), earlier);
    assert.deepEqual(await query('SELECT count(*) FROM orders'), [['5']]);
  });

  test('reset leaves no container, volume or network', async () => {
    assert.notEqual(await containers(), '');
    await cdc('stack', 'reset');
    assert.equal(await containers(), '');
    for (const kind of ['volume', 'network']) {
      assert.equal(await docker([kind, 'ls', '--quiet', '--filter', `label=com.docker.compose.project=${project}`]), '', kind);
    }
  });

  function containers(): Promise<string> {
    return docker(['ps', '--all', '--quiet', '--filter', `label=com.docker.compose.project=${project}`]);
  }
});
