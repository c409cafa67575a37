import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { repositoryRoot } from '#test/support/house-repository.ts';

const run = promisify(execFile);
const options = ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '--eval'];

/** Prints its process id and argument; the first time it then asks to be started again. */
const program = (andThen: string): string => `
  import { existsSync, writeFileSync, mkdtempSync } from 'node:fs';
  import { restartAtExit } from './cli/restart.ts';
  process.stdout.write(JSON.stringify([process.pid, process.execArgv.length, process.env.MARK]) + '\\n');
  if (process.env.MARK === undefined) {
    process.env.MARK = 'kept';
    const takeBack = restartAtExit();
    ${andThen}
  }`;

async function lines(andThen: string): Promise<readonly string[]> {
  const { stdout, stderr } = await run(process.execPath, [...options, program(andThen)], { cwd: repositoryRoot });
  assert.equal(stderr, '');
  return stdout.trim().split('\n');
}

for (const [how, andThen] of [
  ['has nothing left to do', ''],
  ['is ended by itself', 'setInterval(() => undefined, 1000); process.exit(3);'],
]) {
  test(`a program that ${how} starts again in the same process, with its arguments and environment`, async () => {
    const [first, second, ...more] = await lines(andThen ?? '');
    assert.deepEqual(more, []);
    const [pid, flags, mark] = JSON.parse(first ?? '[]');
    assert.equal(mark, null);
    assert.deepEqual(JSON.parse(second ?? '[]'), [pid, flags, 'kept']);
  });
}

test('one that got a signal meanwhile ends', async () => {
  assert.equal((await lines('takeBack();')).length, 1);
});

/** A program that does not end by itself: what it says, and how it ends. */
async function hanging(
  begin: string,
  changedMs = 300,
): Promise<{ readonly starts: number; readonly code: number | null; readonly said: string }> {
  const text = `
    import { followEndings } from './cli/endings.ts';
    process.stdout.write('start\\n');
    if (process.env.MARK === undefined) {
      process.env.MARK = 'kept';
      const { signal, changed } = followEndings({ endMs: 300, changedMs: ${changedMs} });
      setInterval(() => undefined, 1000);
      const end = () => process.kill(process.pid, 'SIGTERM');
      const change = (restart) => changed(new Error('the file has changed'), restart);
      ${begin}
    }`;
  const child = execFile(process.execPath, [...options, text], { cwd: repositoryRoot, timeout: 60_000 });
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (piece) => (output.stdout += String(piece)));
  child.stderr?.on('data', (piece) => (output.stderr += String(piece)));
  const [code]: unknown[] = await once(child, 'close');
  return { starts: output.stdout.trim().split('\n').length, code: typeof code === 'number' ? code : null, said: output.stderr };
}

test('what does not end after a change of the configuration is ended after the grace, and begins again where it is to', async () => {
  const again = await hanging('change(true);');
  assert.deepEqual([again.starts, again.code], [2, 0]);
  assert.match(again.said, /^the file has changed: still waiting for a server after 0\.3 s; ending without it$/m);
  assert.deepEqual(await hanging('change(false);').then(({ starts, code }) => [starts, code]), [1, 130]);
});

test('with a signal before or after a change of the configuration, it ends after the grace and does not begin again', async () => {
  for (const begin of ['end(); signal.onabort = () => change(true);', 'change(true); end();']) {
    const { starts, code, said } = await hanging(begin, 120_000);
    assert.deepEqual([starts, code], [1, 130], begin);
    assert.match(said, /^SIGTERM: stopping$/m);
    assert.match(said, /still waiting for a server/);
  }
});
