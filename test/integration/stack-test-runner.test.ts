import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');

/** Runs node as from a shell: not as a part of the test run that this is. */
function runNode(args: readonly string[], extra: NodeJS.ProcessEnv = {}): Promise<{ readonly code: number; readonly lines: string[] }> {
  const env = { ...process.env, ...extra };
  delete env['NODE_TEST_CONTEXT'];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { cwd: root, env }, (_error, stdout) => {
      resolve({ code: child.exitCode ?? -1, lines: stdout.trimEnd().split('\n') });
    });
  });
}

test('a real run: crashed, empty and hanging files are failures, and are named; a slow one that makes progress is not ended', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-unit-'));
  try {
    const files = {
      good: "import { test } from 'node:test'; test('one', () => {}); test('two', async (t) => { await t.test('inner', () => {}); });",
      bad: "import { test } from 'node:test'; test('bad', () => { throw new Error('x'); });",
      crash: "throw new Error('crashed while loading');",
      empty: 'export {};',
      open: "import { test } from 'node:test'; test('leaves a timer', () => { setInterval(() => {}, 1000); });",
      hangs: "import { test } from 'node:test'; test('never ends', () => new Promise(() => { setInterval(() => {}, 1000); }));",
      // Longer as a whole than the limit, but each of its tests ends well within it.
      slow: "import { test } from 'node:test'; for (let n = 1; n <= 4; n += 1) test(`step ${n}`, () => new Promise((done) => setTimeout(done, 3000)));",
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, `${name}.test.ts`), text);
    const pathOf = (name: string): string => join(folder, `${name}.test.ts`);
    const runner = join(folder, 'runner.ts');
    // What hangs is ended soon; the others have all the time that a busy machine takes to start four processes at once.
    const code = `import { addTallies, runFiles, summary } from ${JSON.stringify(join(root, 'test', 'support', 'run-files.ts'))};
      const write = (text) => process.stdout.write(text);
      const failing = [];
      const options = { concurrency: 4, signal: new AbortController().signal, root: '/', write, onFailing: (text) => failing.push(text) };
      const tallies = [
        await runFiles(${JSON.stringify(['good', 'bad', 'crash', 'empty'].map(pathOf))}, { ...options, noProgressLimitMs: 60_000 }),
        await runFiles(${JSON.stringify(['open', 'hangs', 'slow'].map(pathOf))}, { ...options, noProgressLimitMs: 10_000 }),
      ];
      write('\\nAT THE END\\n' + failing.join('\\n'));
      write('\\n' + summary(addTallies(...tallies)));`;
    await writeFile(runner, code);
    const { lines } = await runNode([runner]);
    const output = lines.join('\n');
    assert.equal(lines.at(-1), '7 passed, 6 failed', output);
    assert.match(output, /crash\.test\.ts: 0 passed, 1 failed/);
    assert.match(output, /empty\.test\.ts holds no test\./);
    const end = output.slice(output.indexOf('AT THE END'));
    for (const name of ['bad', 'crash', 'empty', 'open', 'hangs']) assert.match(end, new RegExp(`${name}\\.test\\.ts: `), 'said again');
    assert.match(end, /Error: x/);
    assert.doesNotMatch(end, /good/);
    assert.match(output, /open\.test\.ts was ended: no progress for 10 s \(the last to begin was "leaves a timer"/);
    assert.match(end, /never ends/);
    assert.match(output, /slow\.test\.ts: 4 passed, 0 failed/, 'a file that makes progress is not ended, however long it takes');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a run in which no test ran fails', async () => {
  const { code, lines } = await runNode(['test/run.ts', 'unit', 'no-file-has-this-name']);
  assert.deepEqual([code, lines.at(-1)], [1, '0 passed, 0 failed']);
});

test('a run in which all pass ends with the count and exit code 0', async () => {
  const { code, lines } = await runNode(['test/run.ts', 'unit', 'stack-wait-for'], { NODE_OPTIONS: '--no-warnings' });
  assert.deepEqual([code, lines.at(-1)], [0, '5 passed, 0 failed'], lines.join('\n'));
});

test('NODE_OPTIONS that would leave tests out are refused', async () => {
  const { code, lines } = await runNode(['test/run.ts', 'unit', 'stack-wait-for'], { NODE_OPTIONS: '--test-name-pattern=abort' });
  assert.equal(code, 64);
  assert.match(lines.join(), /could leave tests out unseen/);
});

test('a word that is no phase does not run something else', async () => {
  assert.equal((await runNode(['test/run.ts', 'untegration'])).code, 64);
  assert.equal((await runNode(['test/run.ts', 'unit', '--watch'])).code, 64);
});
