import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import * as z from 'zod';
import { connectKafka, type KafkaAdmin } from '#kafka/index.ts';
import { pipelineSchema, postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import { resetStack, stackStatus, startMain, startStack, stopStack, waitFor, type StackState } from '#stack/index.ts';
import { isSameProcess, processIdentity } from '#stack/processes/process-identity.ts';
import { stateFile } from '#stack/state/records.ts';
import { readSettings, settingsFile } from '#stack/settings.ts';
import { readStackState } from '#stack/state/state.ts';

/** Small stacks (without Connect) of this file's own. mkdtemp makes folders that only their owner may enter: as root, Postgres' user may not. */
const folders: string[] = [];
const signal = AbortSignal.timeout(30 * 60_000);

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-stack-'));
  folders.push(folder);
  return folder;
}

after(async () => {
  for (const folder of folders) {
    await resetStack(folder);
    await rm(folder, { recursive: true, force: true });
  }
});

const up = (folder: string, progress: (text: string) => void = () => undefined): Promise<StackState> =>
  startStack({ folder, connect: false, throwaway: true, progress, signal });

/** Every process whose command line names the stack's folders: also one that no record has. */
async function processesOf(folder: string): Promise<string[]> {
  const settings = await readSettings(folder);
  const names = [folder, ...(settings === null ? [] : [settings.postgresFolder])];
  const ps = spawn('ps', ['-eo', 'pid=,stat=,args=', '-ww'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = (await Array.fromAsync(ps.stdout.setEncoding('utf8'))).join('').split('\n');
  return lines.filter((line) => / (?:\S*java|\S*postgres|\S*initdb) /.test(line) && names.some((name) => line.includes(name)));
}

async function legacy(state: StackState, user: { user: string; password: string }, database = 'legacy'): Promise<Client> {
  const { host, port } = state.legacyServer;
  const client = new Client(postgresClientConfig({ host, port, database }, user, 'stack test'));
  await client.connect();
  return client;
}

async function query(state: StackState, user: { user: string; password: string }, sql: string): Promise<unknown[][]> {
  const client = await legacy(state, user);
  try {
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

async function withAdmin<T>(state: StackState, work: (admin: KafkaAdmin) => Promise<T>): Promise<T> {
  const config = pipelineSchema.shape.kafka.parse({ brokers: state.kafka.brokers });
  await using admin = await connectKafka(config, silentLogger).admin();
  return await work(admin);
}

/** Runs TypeScript in a process of its own, as another command of cdc would be. */
function otherProcess(code: string): ReturnType<typeof spawn> {
  const root = join(import.meta.dirname, '..', '..');
  const env = { ...process.env };
  delete env['NODE_TEST_CONTEXT'];
  return spawn(process.execPath, ['--input-type=module', '-e', code], { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
}

function allButRead(state: StackState): string[] {
  return state.processes.flatMap(({ name, pid }) => (name === 'postgres-read' ? [] : [`${name} ${pid}`])).toSorted();
}

describe('a stack from up to down', () => {
  let folder: string;
  let state: StackState;
  before(async () => {
    folder = await newFolder();
    state = await up(folder);
  });

  test('runs in a folder that Postgres’ user may not enter, and keeps its secrets to its owner', async () => {
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    for (const name of ['stack.json', 'settings.json']) assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name);
    const settings = await readSettings(folder);
    assert.ok(settings);
    const inside = settings.postgresFolder.startsWith(folder);
    assert.equal(inside, process.getuid?.() !== 0, 'only as root does Postgres run as another user');
    const secrets = Object.values(settings.passwords);
    for (const log of await readdir(join(folder, 'logs'))) {
      const text = await readFile(join(folder, 'logs', log), 'utf8');
      assert.equal(
        secrets.some((secret) => text.includes(secret)),
        false,
        `${log} holds a password`,
      );
    }
    assert.equal(
      secrets.some((secret) => JSON.stringify(process.argv).includes(secret)),
      false,
    );
  });

  test('the legacy server can do logical decoding and prepared transactions, and keeps commit times', async () => {
    const names = ['wal_level', 'max_prepared_transactions', 'track_commit_timestamp', 'max_connections', 'timezone'];
    const settings = await query(
      state,
      state.legacyServer.superuser,
      names.map((name) => `SELECT current_setting('${name}')`).join(' UNION ALL '),
    );
    assert.deepEqual(settings.flat(), ['logical', '10', 'on', '300', 'UTC']);
  });

  test('the roles are those a DBA gives: none is a superuser, each needs its password', async () => {
    const sql = `SELECT rolname, rolcreatedb, rolreplication, rolsuper OR rolcreaterole OR rolbypassrls FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres' ORDER BY 1`;
    assert.deepEqual(await query(state, state.legacyServer.superuser, sql), [
      ['cdc_orders', false, false, false],
      ['cdc_poller', false, false, false],
      ['cdc_replicator', false, true, false],
      ['legacy_app', false, false, false],
      ['legacy_owner', true, false, false],
    ]);
    for (const role of Object.values(state.roles)) {
      assert.deepEqual(await query(state, role, 'SELECT current_user::text'), [[role.user]]);
      await assert.rejects(legacy(state, { ...role, password: 'guess' }), { code: '28P01' });
    }
    assert.deepEqual(await query(state, state.roles.owner, `SELECT datdba::regrole::text FROM pg_database WHERE datname = 'legacy'`), [
      ['legacy_owner'],
    ]);
  });

  test('status asks every server', async () => {
    const status = await stackStatus(folder);
    assert.equal(status.status, 'up');
    assert.deepEqual(
      status.processes.map(({ name, status: each }) => [name, each]),
      [
        ['postgres-legacy', 'up'],
        ['postgres-read', 'up'],
        ['kafka', 'up'],
      ],
    );
    assert.equal(JSON.stringify(status).includes(state.legacyServer.superuser.password), false);
  });

  test('up on a stack that is up does nothing, and says so', async () => {
    const said: string[] = [];
    const again = await up(folder, (text) => said.push(text));
    assert.deepEqual(said, [`the stack in ${folder} is up already`]);
    assert.deepEqual(again, state);
  });

  test('a server that died is seen, and up starts that one alone', async () => {
    const victim = state.processes.find(({ name }) => name === 'postgres-read');
    assert.ok(victim);
    process.kill(victim.pid, 'SIGKILL');
    await waitFor(async () => !(await isSameProcess(victim)), { signal, timeoutMs: 10_000, describe: 'it is dead' });
    const status = await stackStatus(folder);
    assert.equal(status.status, 'partly');
    assert.equal(status.processes.find(({ name }) => name === 'postgres-read')?.status, 'down');
    const repaired = await up(folder);
    assert.deepEqual(allButRead(repaired), allButRead(state));
    assert.equal((await stackStatus(folder)).status, 'up');
    state = repaired;
  });

  test('a program of ours starts on it, with its variables and a log, and one that ends early is reported with its log', async () => {
    const script =
      "console.log('on', process.env.KAFKA_BROKERS); process.on('SIGTERM', () => { console.log('bye'); process.exit(); }); setInterval(() => {}, 1000)";
    const ready = async (): Promise<boolean> =>
      (await readFile(join(folder, 'logs', 'poller.log'), 'utf8')).includes(`on ${state.kafka.brokers}`);
    const main = await startMain({ name: 'poller', args: ['-e', script], folder, signal, ready });
    assert.equal((await stackStatus(folder)).processes.find(({ name }) => name === 'poller')?.pid, main.pid);
    const failing = startMain({
      name: 'bad',
      args: ['-e', "throw new Error('no table orders')"],
      folder,
      signal,
      ready: async () => false,
    });
    await assert.rejects(failing, {
      code: 'STACK_START_FAILED',
      message: /bad ended before it was ready; its log .*bad\.log says:[^]*no table orders/,
    });
    assert.equal(await main.isRunning(), true);
  });

  test('down in another process stops our programs, then the servers, and leaves no process', { timeout: 150_000 }, async () => {
    await query(state, state.roles.owner, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await withAdmin(state, (admin) => admin.ensureTopics([{ topic: 'kept', partitions: 3, replicationFactor: -1 }]));
    const running = await readStackState(folder);
    assert.ok(running);
    assert.ok((await processesOf(folder)).length >= 3, 'the search for processes finds them while they run');
    const code = `import { stopStack } from '#stack/index.ts'; await stopStack(${JSON.stringify(folder)});`;
    const [exitCode] = await once(otherProcess(code), 'exit');
    assert.equal(exitCode, 0);
    for (const record of running.processes) assert.equal(await isSameProcess(record), false, record.name);
    assert.deepEqual(await processesOf(folder), []);
    assert.match(await readFile(join(folder, 'logs', 'poller.log'), 'utf8'), /bye/);
    assert.match(await readFile(join(folder, 'logs', 'postgres-legacy.log'), 'utf8'), /database system is shut down/);
    assert.equal(await readStackState(folder), null);
    assert.equal((await stackStatus(folder)).status, 'down');
    await stopStack(folder);
  });

  test('a stale stack.json, whose pid now is somebody else’s, is recognised: data is kept, and the foreign process is not touched', async () => {
    // As after a crash of the machine: the records are there, the processes are not, and one pid has a new owner.
    const foreign = spawn('sleep', ['120'], { stdio: 'ignore' });
    await once(foreign, 'spawn');
    assert.ok(foreign.pid);
    try {
      const stale = state.processes.map((record) => ({ ...record, pid: foreign.pid ?? 0 }));
      await writeFile(stateFile(folder), JSON.stringify({ ...state, processes: stale }), { mode: 0o600 });
      assert.equal((await stackStatus(folder)).status, 'down');
      const again = await up(folder);
      assert.deepEqual(await query(again, again.roles.owner, 'SELECT answer FROM kept'), [[42]]);
      assert.equal(await withAdmin(again, (admin) => admin.partitionsOf('kept')), 3);
      await writeFile(
        stateFile(folder),
        JSON.stringify({ ...again, processes: [...again.processes, { ...stale[0], name: 'poller', kind: 'main' }] }),
      );
      await stopStack(folder);
      assert.deepEqual(await processesOf(folder), []);
      assert.ok(await processIdentity(foreign.pid));
      assert.equal(foreign.signalCode, null);
    } finally {
      foreign.kill();
    }
  });

  test('reset deletes what the stack wrote, and nothing else', async () => {
    const settings = await readSettings(folder);
    await writeFile(join(folder, 'notes.txt'), 'mine');
    await resetStack(folder);
    assert.deepEqual(await readdir(folder), ['notes.txt']);
    await assert.rejects(stat(settings?.postgresFolder ?? ''), { code: 'ENOENT' });
    await assert.rejects(up(folder), { code: 'STACK_FOLDER_INVALID', message: /holds notes\.txt/ });
  });
});

test('two stacks start side by side on ports of their own, and stopping one leaves the other', { timeout: 200_000 }, async () => {
  const [first, second] = [await newFolder(), await newFolder()];
  const states = await Promise.all([up(first), up(second)]);
  const ports = states.flatMap((state) => [state.legacyServer.port, state.readServer.port, state.kafka.brokers]);
  assert.equal(new Set(ports).size, 6);
  await stopStack(first);
  assert.deepEqual(await processesOf(first), []);
  assert.equal((await stackStatus(second)).status, 'up');

  // While it is down, a port of the first is taken; and another between its choice and Kafka's start.
  const { port } = states[0].legacyServer;
  const squatters = [await squat(port)];
  const said: string[] = [];
  try {
    const again = await up(first, (text) => {
      said.push(text);
      if (squatters.length > 1 || !text.startsWith('postgres-legacy is up')) return;
      const settings = z.object({ ports: z.object({ kafka: z.number() }) }).parse(JSON.parse(readFileSync(settingsFile(first), 'utf8')));
      squatters.push(squatSoon(settings.ports.kafka));
    });
    assert.notEqual(again.legacyServer.port, port);
    assert.ok(said.includes('a port was taken by another program in the meantime: trying others'), said.join('\n'));
    assert.equal((await stackStatus(first)).status, 'up');
  } finally {
    for (const server of squatters) server.close();
  }
});

function squatSoon(port: number): Server {
  return createServer().listen(port, '127.0.0.1');
}

async function squat(port: number): Promise<Server> {
  const server = squatSoon(port);
  await once(server, 'listening');
  return server;
}

test('an abort in the middle of a start stops what was started', { timeout: 150_000 }, async () => {
  const folder = await newFolder();
  const abort = new AbortController();
  const starting = startStack({
    folder,
    connect: false,
    throwaway: true,
    // Postgres runs by then and Kafka does not yet.
    progress: (text) => {
      if (text.startsWith('postgres-legacy is up')) abort.abort(new Error('Ctrl-C'));
    },
    signal: abort.signal,
  });
  await assert.rejects(starting, /Ctrl-C/);
  assert.deepEqual(await processesOf(folder), []);
  assert.equal(await readStackState(folder), null);
});

test('when the starting process is killed in the middle, what it started is known and can be stopped', { timeout: 150_000 }, async () => {
  const folder = await newFolder();
  const code = `import { startStack } from '#stack/index.ts';
    await startStack({ folder: ${JSON.stringify(folder)}, connect: false, throwaway: true, signal: new AbortController().signal });`;
  const starter = otherProcess(code);
  // All three are spawned, and Kafka is far from ready. (Between a spawn and its record lie milliseconds in which a kill leaves a process that
  // nobody knows: the next start then names its pid file.)
  const spawned = async (): Promise<boolean> => (await readStackState(folder))?.processes.length === 3;
  await waitFor(spawned, { signal, timeoutMs: 60_000, describe: 'all servers are spawned', intervalMs: 5 });
  await assert.rejects(stopStack(folder), { code: 'STACK_BUSY', message: new RegExp(`Process ${starter.pid} `) });
  starter.kill('SIGKILL');
  await once(starter, 'exit');
  assert.ok((await processesOf(folder)).length > 0);
  await stopStack(folder);
  assert.deepEqual(await processesOf(folder), []);
});
