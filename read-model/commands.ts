import Table from 'cli-table3';
import { Command } from 'commander';
import type { CliContext } from '#pipeline/index.ts';
import { describeFreshness, readFreshness } from './freshness/read-freshness.ts';
import { migrate } from './migrate.ts';
import { readDatabaseConfig, requireReadModel, selectModels } from './model-config.ts';
import { parkedCommand } from './parking/commands.ts';
import { rebuildCommand, versionsCommand } from './rebuild/commands.ts';
import { startReadModel } from './start.ts';
import { readModelStatus, type PartitionStatus } from './status.ts';

type ModelOption = { readonly model?: readonly string[] };

/** `cdc read-model migrate|start|status|parked|rebuild|versions` */
export function readModelCommand(context: CliContext): Command {
  const command = new Command('read-model').description('the read models that follow the topics');

  command
    .command('migrate')
    .description("make or update the models' tables in the read database")
    .option('--model <name...>', 'only these models')
    .action(async ({ model }: ModelOption) => {
      const readModel = requireReadModel(await context.config());
      for (const schema of selectModels(readModel, model)) {
        const applied = await migrate(readDatabaseConfig(readModel), { schema });
        context.print(applied.length === 0 ? `${schema}: up to date` : `${schema}: applied ${applied.join(', ')}`);
      }
    });

  command
    .command('start')
    .description('keep the models in sync until interrupted')
    .option('--model <name...>', 'only these models')
    .action(async ({ model }: ModelOption) => {
      const { logger, signal } = context;
      await using running = await startReadModel({ config: await context.config(), models: model, logger, signal });
      await running.closed;
    });

  command
    .command('status')
    .description('how far each partition is applied, and up to when each model is complete; exit code 1 when one is stale')
    .option('--model <name...>', 'only these models')
    .option('--json', 'as JSON')
    .action(async ({ model, json }: ModelOption & { readonly json?: boolean }) => {
      const config = await context.config();
      const status = await readModelStatus(config, model, context.logger);
      const freshness = await readFreshness(config, model, context.logger);
      const rows = status.map((row) => ({ ...row, freshness: freshness.find((each) => each.model === row.model) }));
      context.print(
        json === true ? JSON.stringify(rows, bigintAsText, 2) : [statusTable(status), ...freshness.map(describeFreshness)].join('\n'),
      );
      if (freshness.some(({ state }) => state === 'stale')) context.setExitCode(1);
    });

  for (const one of [parkedCommand(context), rebuildCommand(context), versionsCommand(context)]) command.addCommand(one);
  return command;
}

function statusTable(status: readonly PartitionStatus[]): string {
  if (status.length === 0) return 'No partition has been claimed yet: start the read model first.';
  const table = new Table({
    head: ['model', 'topic', 'partition', 'applied', 'end', 'lag', 'parked', 'consistency', 'last applied'],
    style: { head: [], border: [] },
  });
  for (const { model, topic, partition, appliedOffset, endOffset, lag, parked, consistency, appliedAt } of status) {
    const progress = [String(appliedOffset), String(endOffset ?? 'no topic'), String(lag ?? '-')];
    table.push([model, topic, partition, ...progress, parked, consistency, appliedAt]);
  }
  return [table.toString(), ...haltsOf(status)].join('\n');
}

/** Why partitions stand still, each reason once: a server that is away is away for all of them. */
function haltsOf(status: readonly PartitionStatus[]): readonly string[] {
  const places = new Map<string, string[]>();
  for (const { topic, partition, halted } of status) {
    if (halted === null) continue;
    const why = `${halted.code}: ${halted.cause}\n  remedy: ${halted.remedy}`;
    places.set(why, [...(places.get(why) ?? []), `${topic}/${partition}`]);
  }
  return [...places].map(([why, standing]) => `${standing.join(', ')}: ${why}`);
}

/** Offsets are integers of 64 bits: as text they survive every JSON reader. */
function bigintAsText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
