import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { spawnDetached, stopRecorded } from '#stack/processes/detached-process.ts';
import { withLock } from '#stack/state/lock.ts';
import { isSameProcess, parseProcStat, processIdentity } from '#stack/processes/process-identity.ts';
import { noProgress } from '#stack/progress.ts';

const never = new AbortController().signal;
const environment = { PATH: process.env['PATH'] ?? '' };

async function temporaryFolder(): Promise<{ readonly path: string; [Symbol.asyncDispose]: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'cdc-unit-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test('/proc/PID/stat is read right when the command holds spaces and brackets', () => {
  const rest = 'S 1 42 42 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000000 200';
  assert.deepEqual(parseProcStat(`42 (my (odd) cmd) R 9) ${rest}`), { state: 'S', startTicks: '987654' });
  assert.equal(parseProcStat('garbage'), null);
});

test('a process is recognised by pid and start time together', async () => {
  const startedAt = await processIdentity(process.pid);
  assert.ok(startedAt);
  assert.equal(await isSameProcess({ pid: process.pid, startedAt }), true);
  assert.equal(await isSameProcess({ pid: process.pid, startedAt: `${startedAt}0` }), false);
});

test(
  'a process that has ended but was not collected by its parent (a zombie) counts as gone',
  { skip: process.platform !== 'linux' },
  async () => {
    // The shell becomes `sleep`, which never collects the child it inherits.
    const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const [line] = await once(parent.stdout, 'data');
      const pid = Number(String(line).trim());
      while (!(await readFile(`/proc/${pid}/stat`, 'utf8')).includes(') Z ')) await new Promise(setImmediate);
      assert.equal(await processIdentity(pid), null);
    } finally {
      parent.kill();
    }
  },
);

test('stopping never signals a foreign process that has got the recorded pid', async () => {
  // Its exit code shows whether it was ever asked to end.
  const foreign = spawn('sh', ['-c', "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done"], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(foreign.stdout, 'data');
  assert.ok(foreign.pid);
  const record = { name: 'kafka', pid: foreign.pid, startedAt: 'another boot/123', log: 'x' };
  const ended = once(foreign, 'exit');
  await stopRecorded(record, { stopSignal: 'SIGTERM', limitMs: 1000, progress: noProgress });
  foreign.kill('SIGKILL');
  assert.deepEqual(await ended, [null, 'SIGKILL']);
});

test('a process that ignores the signal is named with pid and log, and is not killed', async () => {
  await using folder = await temporaryFolder();
  const log = join(folder.path, 'stubborn.log');
  const script =
    "process.on('SIGTERM', () => {}); process.on('SIGINT', () => process.exit()); console.log('ready'); setInterval(() => {}, 1000);";
  const launch = { command: process.execPath, args: ['-e', script], cwd: folder.path, env: environment };
  const { pid, startedAt } = await spawnDetached('stubborn', launch, log);
  const record = { name: 'stubborn', pid, startedAt, log };
  while (!(await readFile(log, 'utf8')).includes('ready')) await new Promise((resolve) => void setTimeout(resolve, 10));
  try {
    await assert.rejects(stopRecorded(record, { stopSignal: 'SIGTERM', limitMs: 100, progress: noProgress }), {
      code: 'STACK_STOP_FAILED',
      message: `stubborn (pid ${pid}) did not end within 0.1 s of SIGTERM; its log is ${log}.`,
    });
    assert.equal(await isSameProcess(record), true);
  } finally {
    await stopRecorded(record, { stopSignal: 'SIGINT', limitMs: 5000, progress: noProgress });
  }
  assert.equal(await isSameProcess(record), false);
});

test(
  'a detached process leads a group of its own, so that Ctrl-C of the terminal does not reach it',
  { skip: process.platform !== 'linux' },
  async () => {
    await using folder = await temporaryFolder();
    const launch = { command: 'sleep', args: ['60'], cwd: folder.path, env: environment };
    const { pid, startedAt } = await spawnDetached('sleeper', launch, join(folder.path, 'log'));
    try {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      const group = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2];
      assert.equal(group, String(pid));
    } finally {
      await stopRecorded({ name: 'sleeper', pid, startedAt, log: 'x' }, { stopSignal: 'SIGTERM', limitMs: 5000, progress: noProgress });
    }
  },
);

test('a program that cannot be run is an error that names it, and the log of the run before is kept', async () => {
  await using folder = await temporaryFolder();
  const log = join(folder.path, 'x.log');
  await writeFile(log, 'the run before');
  const launch = { command: '/no/such/program', args: [], cwd: folder.path, env: environment };
  await assert.rejects(spawnDetached('x', launch, log), {
    code: 'STACK_START_FAILED',
    message: /^x could not be started \(\/no\/such\/program\)/,
  });
  assert.equal(await readFile(`${log}.previous`, 'utf8'), 'the run before');
});

test('a lock excludes, names its holder, and is released', async () => {
  await using folder = await temporaryFolder();
  const lock = join(folder.path, 'lock');
  await withLock(lock, { signal: never, waitMs: 0 }, async () => {
    const second = withLock(lock, { signal: never, waitMs: 0 }, async () => assert.fail('two held one lock'));
    await assert.rejects(second, { code: 'STACK_BUSY', message: new RegExp(`Process ${process.pid} `) });
  });
  assert.equal(await withLock(lock, { signal: never, waitMs: 0 }, async () => 'free'), 'free');
});

test('a lock whose holder has died is taken over; one of a reused pid too', async () => {
  await using folder = await temporaryFolder();
  const lock = join(folder.path, 'lock');
  for (const holder of [
    { pid: 4_194_304, startedAt: 'x' },
    { pid: process.pid, startedAt: 'another boot/1' },
  ]) {
    await writeFile(lock, JSON.stringify(holder));
    assert.equal(await withLock(lock, { signal: never, waitMs: 0 }, async () => 'taken'), 'taken');
  }
});

test('many that wait for one lock hold it one at a time', async () => {
  await using folder = await temporaryFolder();
  let holders = 0;
  const work = async (): Promise<void> => {
    holders += 1;
    assert.equal(holders, 1);
    await new Promise(setImmediate);
    holders -= 1;
  };
  const lock = join(folder.path, 'lock');
  await Promise.all(Array.from({ length: 8 }, () => withLock(lock, { signal: never, waitMs: 20_000 }, work)));
});
