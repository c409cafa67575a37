import Table from 'cli-table3';
import { Command } from 'commander';
import type { CliContext } from '#pipeline/index.ts';
import { describeFreshness } from './freshness/read-freshness.ts';
import { migrateCommand, planCommand } from './plan-commands.ts';
import type { ReadCaptured } from './mirrors/plan/wanted-mirrors.ts';
import { parkedCommand } from './parking/commands.ts';
import { rebuildCommand, versionsCommand } from './rebuild/commands.ts';
import { skipCommand } from './faults/skip-command.ts';
import { projectionFilesOf } from './views/project-files.ts';
import { requireModel, requireReadModel } from './model-config.ts';
import { startReadModel } from './start.ts';
import type { Stop } from './rebuild/versions.ts';
import type { ProjectionFault } from './views/projection-faults.ts';
import { readModelStatus, type ModelStatus, type PartitionStatus } from './status.ts';

type ModelOption = { readonly model?: readonly string[] };

/** `cdc read-model plan|migrate|start|status|parked|skip|rebuild|versions` */
export function readModelCommand(context: CliContext, readCaptured: ReadCaptured): Command {
  const command = new Command('read-model').description('read models: mirrors and views that follow the topics');

  command.addCommand(planCommand(context, readCaptured)).addCommand(migrateCommand(context, readCaptured));

  command
    .command('start')
    .description('keep the models in sync, until Ctrl-C')
    .option('--model <name...>', 'only these models')
    .action(async ({ model }: ModelOption) => {
      const { logger, signal } = context;
      using open = new DisposableStack();
      open.use(await context.followFiles());
      const config = await context.config();
      await using running = await startReadModel({
        config,
        models: model,
        projectionsOf: (name) => projectionFilesOf(context.configFolder(), requireModel(requireReadModel(config), name).projections),
        logger,
        signal,
      });
      await running.closed;
    });

  command
    .command('status')
    .description(
      'show how far each partition is applied and up to when each model is complete; exit code 1 if a model is stale or has ended, or a view halts',
    )
    .option('--model <name...>', 'only these models')
    .option('--json', 'print JSON')
    .action(async ({ model, json }: ModelOption & { readonly json?: boolean }) => {
      const models = await readModelStatus(await context.config(), model, context.logger);
      const rows = models.flatMap(({ partitions, freshness, haltedViews }) =>
        partitions.map((row) => ({ ...row, freshness, standingViews: haltedViews })),
      );
      const texts = [
        statusTable(rows),
        ...models.flatMap(({ model: name, stopped }) => (stopped === null ? [] : [stopText(name, stopped)])),
        ...models.flatMap(({ model: name, haltedViews }) => viewTexts(name, haltedViews)),
        ...models.map(({ freshness }) => describeFreshness(freshness)),
      ];
      context.print(json === true ? JSON.stringify(rows, bigintAsText, 2) : texts.join('\n'));
      if (models.some(isBad)) context.setExitCode(1);
    });

  for (const one of [parkedCommand(context), skipCommand(context), rebuildCommand(context), versionsCommand(context)])
    command.addCommand(one);
  return command;
}

function isBad({ stopped, haltedViews, freshness }: ModelStatus): boolean {
  return stopped !== null || haltedViews.length > 0 || freshness.state === 'stale';
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

function stopText(model: string, { code, cause, remedy, stoppedAt }: Stop): string {
  return `${model} is applied by no process since ${stoppedAt}: ${code}: ${cause}\n  remedy: ${remedy}`;
}

function viewTexts(model: string, faults: readonly ProjectionFault[]): readonly string[] {
  return faults.map(
    ({ projection, code, cause, remedy, since }) =>
      `view ${model}.${projection} halts since ${since}: ${code}: ${cause}\n  remedy: ${remedy}`,
  );
}

/** Why partitions halt, each reason once: a server that is away is away for all of them. */
function haltsOf(status: readonly PartitionStatus[]): readonly string[] {
  const places = new Map<string, string[]>();
  for (const { topic, partition, halted } of status) {
    if (halted === null) continue;
    const why = `${halted.code}: ${halted.cause}\n  remedy: ${halted.remedy}`;
    places.set(why, [...(places.get(why) ?? []), `${topic}/${partition}`]);
  }
  return [...places].map(([why, halted]) => `${halted.join(', ')}: ${why}`);
}

/** Offsets are integers of 64 bits: as text they survive every JSON reader. */
function bigintAsText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
