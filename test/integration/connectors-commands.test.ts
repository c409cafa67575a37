import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { connectorsCommand } from '#connectors/index.ts';
import { pipelineSchema, silentLogger, type CliContext } from '#pipeline/index.ts';
import { prepareTestConnector, removeConnector, removeTopics, testConnect } from '#test/support/connect.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';

type Terminal = { readonly run: (...words: string[]) => Promise<{ readonly printed: string; readonly exitCode: number }> };

function terminal(pipeline: unknown, folder: string): Terminal {
  return {
    run: async (...words) => {
      const printed: string[] = [];
      let exitCode = 0;
      const context: CliContext = {
        config: async () => pipelineSchema.parse(pipeline),
        configFolder: () => folder,
        print: (text) => printed.push(text),
        progress: () => undefined,
        setExitCode: (code) => {
          exitCode = code;
        },
        logger: silentLogger,
        signal: new AbortController().signal,
        stackFolder: () => folder,
      };
      const command = connectorsCommand(context);
      for (const each of allOf(command)) each.exitOverride().configureOutput({ writeErr: () => undefined });
      await command.parseAsync(words, { from: 'user' });
      return { printed: printed.join('\n'), exitCode };
    },
  };
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

test('a connector by the commands: plan, validate, apply, status, restart, stop, delete with its slot', async (t) => {
  await using db = await createLegacyDatabase();
  const client = await testConnect();
  const { file } = await prepareTestConnector({ database: db });
  const { name } = file;
  const folder = await mkdtemp(join(tmpdir(), 'connectors-'));
  const connect = { url: client.url, connectors: ['orders.json'] };
  const cli = terminal({ legacyDb: db.config, kafka: { brokers: 'unused:9092' }, connect }, folder);
  try {
    await writeFile(join(folder, 'orders.json'), JSON.stringify(file));

    await t.test('prepare says that nothing is left to do', async () => {
      assert.match((await cli.run('prepare')).printed, /present +publication .*\n(?:.*\n)*nothing to do$/);
    });
    await t.test('plan shows references, and says by its exit code that there is a difference', async () => {
      const { printed, exitCode } = await cli.run('plan');
      assert.equal(exitCode, 2);
      assert.match(printed, /would be created\n/);
      assert.match(printed, /\+ database\.password = \$\{env:LEGACY_DB_REPLICATOR_PASSWORD\}/);
    });
    await t.test('validate asks the server and creates nothing', async () => {
      assert.equal((await cli.run('validate')).printed, `${name}: valid`);
      assert.equal(await client.config(name), null);
    });
    await t.test('apply creates; plan then sees no difference', async () => {
      assert.equal((await cli.run('apply')).printed, `${name}: created; RUNNING, 1 task`);
      assert.deepEqual(await cli.run('plan'), { printed: `${name}: no changes`, exitCode: 0 });
      assert.equal((await cli.run('apply')).printed, `${name}: no changes; RUNNING, 1 task`);
    });
    await t.test('status, list and offsets tell where it stands', async () => {
      assert.deepEqual(await cli.run('status'), { printed: `${name}: RUNNING, 1 of 1 tasks RUNNING`, exitCode: 0 });
      assert.ok((await cli.run('list')).printed.split('\n').includes(`${name}  RUNNING`));
      assert.match((await cli.run('offsets', 'show', name)).printed, /"lsn"/);
      const [summary]: unknown[] = JSON.parse((await cli.run('status', '--json')).printed);
      assert.ok(typeof summary === 'object' && summary !== null && 'health' in summary);
      assert.equal(summary.health, 'running');
    });
    await t.test('stop and resume are seen in status and its exit code', async () => {
      await cli.run('stop', name);
      await reaches(cli, name, /STOPPED/, 1);
      await cli.run('resume', name);
      await reaches(cli, name, /1 of 1 tasks RUNNING/, 0);
    });
    await t.test('names that nobody knows are refused by name', async () => {
      await assert.rejects(cli.run('apply', 'nope'), { code: 'CONNECTOR_NOT_FOUND', message: /nope/ });
      await assert.rejects(cli.run('restart', 'nope'), { code: 'CONNECTOR_NOT_FOUND', message: /nope/ });
      await assert.rejects(cli.run('status', 'nope'), { code: 'CONNECTOR_NOT_FOUND', message: /nope/ });
    });
    await t.test('delete --drop-slot leaves neither connector nor slot', async () => {
      assert.equal((await cli.run('delete', '--drop-slot', name)).printed, `${name}: deleted\nreplication slot ${name}: dropped`);
      assert.equal(await client.config(name), null);
      assert.deepEqual(await db.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [name]), []);
    });
    await t.test('prepare --undo takes all of it back', async () => {
      assert.match((await cli.run('prepare', '--undo')).printed, /removed +publication .*\n(?:.*\n)*removed +schema cdc\n/);
    });
  } finally {
    await removeConnector(client, name, db.replicator);
    await removeTopics(file.config['topic.prefix'] ?? '');
    await rm(folder, { recursive: true });
  }
});

test('without a connect section the commands say what is missing', async () => {
  await using db = await createLegacyDatabase({ empty: true });
  const cli = terminal({ legacyDb: db.config, kafka: { brokers: 'unused:9092' } }, '.');
  await assert.rejects(cli.run('list'), { code: 'CONFIG_INVALID', message: /no connect section/ });
});

async function reaches(cli: Terminal, name: string, pattern: RegExp, exitCode: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const status = await cli.run('status', name);
    if (pattern.test(status.printed) && status.exitCode === exitCode) return;
    assert.ok(Date.now() < deadline, status.printed);
  }
}
