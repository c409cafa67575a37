import assert from 'node:assert/strict';
import { test } from 'node:test';
import { legacyDbCommand } from '#legacy-db/commands.ts';
import { formatPath, pipelineSchema, silentLogger, type CliContext, type LegacyDbConfig } from '#pipeline/index.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';

test('migrate, seed and workload, one after the other, on an empty database', async () => {
  await using db = await createLegacyDatabase({ empty: true });
  const cli = terminal(db.config);
  assert.match(await cli.run('migrate', '--ledger'), /with the ledger of truth/);
  const seeded = await cli.run('seed', '--customers', '20', '--products', '10', '--orders', '40');
  assert.match(seeded, /Added 20 customers, 10 products, 40 orders, \d{2,3} order items/);
  assert.deepEqual(cli.progress, ['customers: 20 of 20', 'products: 10 of 10', 'orders: 40 of 40']);
  const statistics: unknown = JSON.parse(await cli.run('workload', '--rate', '50', '--seconds', '0.4', '--seed', '3', '--json'));
  assert.ok(typeof statistics === 'object' && statistics !== null && 'seed' in statistics);
  assert.equal(statistics.seed, 3);
});

test('a role that the configuration leaves out is asked for by its place', async () => {
  await using db = await createLegacyDatabase({ empty: true });
  const cli = terminal({ ...db.config, roles: { poller: db.config.roles.poller } });
  for (const [command, role] of [
    ['migrate', 'owner'],
    ['seed', 'owner'],
    ['workload', 'application'],
  ] as const) {
    await assert.rejects(cli.run(command), { code: 'LEGACY_ROLE_NOT_CONFIGURED', message: new RegExp(`legacyDb\\.roles\\.${role}`) });
  }
});

test('an option that is no number is refused before anything connects', async () => {
  await using db = await createLegacyDatabase({ empty: true });
  const cli = terminal(db.config);
  for (const option of [
    ['seed', '--orders', 'many'],
    ['seed', '--customers', '-1'],
    ['workload', '--rate', '0'],
    ['workload', '--writers', '-1'],
  ]) {
    await assert.rejects(cli.run(...option), { code: 'commander.invalidArgument' }, option.join(' '));
  }
});

function terminal(legacyDb: LegacyDbConfig): { progress: string[]; run: (...words: string[]) => Promise<string> } {
  const progress: string[] = [];
  return {
    progress,
    run: async (...words) => {
      const printed: string[] = [];
      const context: CliContext = {
        config: async () => pipelineSchema.parse({ legacyDb, kafka: { brokers: 'unused:9092' } }),
        configFolder: () => '.',
        environment: async () => ({}),
        locate: async () => formatPath,
        print: (text) => printed.push(text),
        progress: (text) => progress.push(text),
        setExitCode: () => undefined,
        logger: silentLogger,
        signal: new AbortController().signal,
        followFiles: async () => ({ [Symbol.dispose]() {} }),
        stackFolder: () => '.',
      };
      const command = legacyDbCommand(context);
      for (const each of [command, ...command.commands]) each.exitOverride().configureOutput({ writeErr: () => undefined });
      await command.parseAsync(words, { from: 'user' });
      return printed.join('\n');
    },
  };
}
