import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { missingLines, stepsOf, type Step } from '#test/support/page.ts';
import { createReadDatabase, eventually } from '#test/support/read-database.ts';
import { readerShell, type ReaderShell } from '#test/support/reader-shell.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

const hasPsql = spawnSync('psql', ['--version']).status === 0;
/** In CI it has to be there. */
const skip = hasPsql || process.env['CI'] === 'true' ? false : 'psql is not installed';

/** A clone, as the reader has it, whose local stack is the one of the tests. */
async function cloneWithStack(): Promise<AsyncDisposable & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-getting-started-'));
  for (const name of await readdir(repositoryRoot)) {
    if (name !== '.cdc' && name !== '.git') await symlink(join(repositoryRoot, name), join(folder, name));
  }
  await mkdir(join(folder, '.cdc'));
  await symlink(resolve(process.env['CDC_TEST_STACK'] ?? ''), join(folder, '.cdc', 'default'));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test('the commands of docs/getting-started.md do what the page says, one after the other', { skip }, async () => {
  const { legacyServer, roles } = await testStack();
  await using database = await createLegacyDatabase({ empty: true });
  await using copies = await createReadDatabase();
  await using clone = await cloneWithStack();
  const name = uniqueName('started');
  const page = (await readFile(join(repositoryRoot, 'docs', 'getting-started.md'), 'utf8')).replaceAll('my_bridge', name);
  // As the page says: each terminal has loaded them.
  const loaded = ['my-env', join(name, '.env')].map((file) => `if [ -f ${file} ]; then set -a; . ./${file}; set +a; fi`).join('\n');
  await using reader = readerShell(clone.folder, loaded);
  const steps = stepsOf(page);
  // A page whose blocks are not recognised would pass.
  assert.ok(steps.length >= 25, `only ${steps.length} steps were found`);

  for (const [at, step] of steps.entries()) {
    const next = steps[at + 1];
    await follow(reader, step, next?.kind === 'expect' ? next : null, clone.folder);
    if (step.kind === 'run' && step.how === 'local') {
      const asked = reader.run('for url in "$OWNER" "$COPIES"; do psql "$url" -Atc "SELECT current_database()"; done');
      assert.equal(asked.output.trim(), 'legacy\nread_model', 'the variables of a reader without a database');
      // From here on the reader has databases of their own: tests share the stack's.
      const { host, port } = legacyServer;
      const { user, password } = roles.owner;
      const read = copies.config;
      await writeFile(
        join(clone.folder, 'my-env'),
        `export OWNER=postgres://${user}:${password}@${host}:${port}/${database.name}
export COPIES=postgres://${read.user}:${read.password}@${read.host}:${read.port}/${copies.name}
export READ_DB_NAME=${copies.name} READ_DB_USER=${read.user} READ_DB_PASSWORD=${read.password}\n`,
      );
    }
  }
});

type Expectation = Extract<Step, { readonly kind: 'expect' }>;

/** Carries out one step. What a command shows is looked at with the command, so that it can be asked again. */
async function follow(reader: ReaderShell, step: Step, expected: Expectation | null, folder: string): Promise<void> {
  switch (step.kind) {
    case 'write':
      await writeFile(join(folder, step.file), step.text);
      return;
    case 'stop':
      await reader.stop(step.name);
      return;
    case 'start':
      reader.start(step.name, step.commands);
      if (expected?.of === null) await untilShown(() => reader.shown(step.name), expected.lines);
      return;
    case 'expect':
      if (step.of !== null) await untilShown(() => reader.shown(step.of ?? ''), step.lines);
      return;
    case 'run': {
      if (step.how === 'until') {
        await untilShown(() => reader.run(step.commands).output, expected?.lines ?? []);
        return;
      }
      const { exitCode, output } = reader.run(step.commands);
      assert.equal(exitCode !== 0, step.how === 'fails', `exit code ${exitCode} of:\n${step.commands}\n${output}`);
      if (expected?.of === null) assert.deepEqual(missingLines(output, expected.lines), [], `of\n${step.commands}\nshows\n${output}`);
    }
  }
}

async function untilShown(output: () => string, lines: readonly string[]): Promise<void> {
  assert.ok(lines.length > 0, 'nothing is said that should be seen');
  await eventually(
    async () => output(),
    (shown) => missingLines(shown, lines).length === 0,
  );
}
