import { Command } from 'commander';
import { CdcError, positiveNumber, postgresClientConfig, wholeNumber, type CliContext, type LegacyDbConfig } from '#pipeline/index.ts';
import type { ClientConfig } from 'pg';
import { migrate } from './migrate.ts';
import { seed } from './seed.ts';
import { runWorkload } from './workload/run-workload.ts';
import { describeWorkload } from './workload/statistics.ts';

type MigrateFlags = { ledger: boolean };
type SeedFlags = { customers: number; products: number; orders: number; seed: number };
type WorkloadFlags = { rate: number; seconds: number; seed: number; writers: number; json: boolean };

/** `cdc legacy-db migrate|seed|workload`: the order system that takes the part of somebody's legacy database. */
export function legacyDbCommand(context: CliContext): Command {
  const command = new Command('legacy-db').description('the sample legacy system: an order database and an application that writes to it');
  command
    .command('migrate')
    .description('create or complete its tables, triggers and grants; you may repeat it')
    .option('--ledger', 'also keep a ledger of every change, for the comparison', false)
    .action(async ({ ledger }: MigrateFlags) => {
      const { legacyDb } = await context.config();
      const { application, poller, replicator } = legacyDb.roles;
      await migrate(clientFor(legacyDb, 'owner', 'cdc legacy-db migrate'), {
        ledger,
        roles: { application: application?.user, poller: poller.user, replicator: replicator?.user },
      });
      context.print(`The order system is in ${legacyDb.database}${ledger ? ', with the ledger of truth' : ''}.`);
    });
  command
    .command('seed')
    .description('add customers, products and orders with items')
    .option('--customers <n>', 'customers to add', wholeNumber(0), 1000)
    .option('--products <n>', 'products to add', wholeNumber(0), 200)
    .option('--orders <n>', 'orders to add', wholeNumber(0), 5000)
    .option('--seed <n>', 'the same seed gives the same rows', wholeNumber(0), 1)
    .action(async (flags: SeedFlags) => {
      const { legacyDb } = await context.config();
      const added = await seed(clientFor(legacyDb, 'owner', 'cdc legacy-db seed'), {
        ...flags,
        signal: context.signal,
        onProgress: ({ table, rows, total }) => {
          context.progress(`${table}: ${rows} of ${total}`);
        },
      });
      context.print(
        `Added ${added.customers} customers, ${added.products} products, ${added.orders} orders, ${added.orderItems} order items to ${legacyDb.database}.`,
      );
    });
  command
    .command('workload')
    .description('write like the old application, until Ctrl-C or --seconds')
    .option('--rate <n>', 'operations per second', positiveNumber, 50)
    .option('--seconds <n>', 'how long', positiveNumber, 20)
    .option('--seed <n>', 'the same seed gives the same plan', wholeNumber(0), 1)
    .option('--writers <n>', 'number of connections', wholeNumber(1, 200), 8)
    .option('--json', 'print the statistics as JSON', false)
    .action(async ({ json, ...flags }: WorkloadFlags) => {
      const { legacyDb } = await context.config();
      const statistics = await runWorkload({
        ...flags,
        application: clientFor(legacyDb, 'application', 'legacy-app'),
        signal: context.signal,
        onProgress: ({ elapsedMs, operations, committed }) => {
          context.progress(`${(elapsedMs / 1000).toFixed(0)} s: ${operations} operations, ${committed} transactions committed`);
        },
      });
      context.print(json ? JSON.stringify(statistics, null, 2) : describeWorkload(statistics));
    });
  return command;
}

function clientFor(legacyDb: LegacyDbConfig, role: 'owner' | 'application', applicationName: string): ClientConfig {
  const credentials = legacyDb.roles[role];
  if (credentials === undefined) {
    throw new CdcError(
      'LEGACY_ROLE_NOT_CONFIGURED',
      `${applicationName} connects as legacyDb.roles.${role}, which pipeline.yaml does not name`,
      {
        remedy: `Add legacyDb.roles.${role} with user and password to pipeline.yaml.`,
      },
    );
  }
  return postgresClientConfig(legacyDb, credentials, applicationName);
}
