import { Command } from 'commander';
import { formatTableId } from '#change-events/index.ts';
import { connectKafka } from '#kafka/index.ts';
import { CdcError, type CliContext } from '#pipeline/index.ts';
import { missedBy } from './consume/beginnings.ts';
import { planMigration, type ModelAsked, type ModelPlan } from './make-model.ts';
import { migrate } from './migrate.ts';
import { readDatabaseConfig, requireModel, requireReadModel, selectModels } from './model-config.ts';
import { projectionFilesOf } from './views/project-files.ts';
import { wantedMirrors, type ReadCaptured, type WantedMirrors } from './mirrors/plan/wanted-mirrors.ts';

type PlanOptions = { readonly model?: readonly string[]; readonly drop?: readonly string[]; readonly json?: boolean };
type MigrateOptions = { readonly model?: readonly string[]; readonly drop?: readonly string[] };

/** As for `cdc connectors plan`. */
const differs = 2;

/** `cdc read-model plan` */
export function planCommand(context: CliContext, readCaptured: ReadCaptured): Command {
  return new Command('plan')
    .description('show what migrate would do to the mirrors, as SQL, and what differs; exit code 2 if there is something to do')
    .option('--model <name...>', 'only these models')
    .option('--drop <mirror...>', 'plan as if migrate removed these mirrors')
    .option('--json', 'print JSON')
    .action(async ({ model, drop, json }: PlanOptions) => {
      const readModel = requireReadModel(await context.config());
      const plans: {
        readonly model: string;
        readonly plan: ModelPlan;
        readonly missed: readonly string[];
        readonly unfit: WantedMirrors['unfit'];
      }[] = [];
      for (const schema of selectModels(readModel, model)) {
        const { unfit, ...asked } = await askedOf(context, schema, readCaptured);
        const plan = await planMigration(readDatabaseConfig(readModel), schema, { ...asked, drop });
        plans.push({ model: schema, plan, missed: await missedBySteps(context, asked.topicPrefix, plan), unfit });
      }
      if (json === true) context.print(JSON.stringify(plans, null, 2));
      else
        for (const { model: schema, plan, missed, unfit } of plans) {
          const steps = plan.steps.length + plan.views.length;
          context.print(`${schema}: ${steps === 0 ? 'nothing to do' : `${steps} to do`}`);
          for (const { what, statements } of plan.steps) context.print(`-- ${what}\n${statements.join(';\n')};`);
          for (const { name, file, statements } of plan.views)
            context.print(`-- make the view ${name}, of ${file}\n${statements.join(';\n')};`);
          printNotes(context, plan, missed, unfit);
        }
      if (plans.some(({ plan }) => plan.steps.length + plan.views.length > 0)) context.setExitCode(differs);
    });
}

/** `cdc read-model migrate` */
export function migrateCommand(context: CliContext, readCaptured: ReadCaptured): Command {
  return new Command('migrate')
    .description('create or update the mirrors and the own tables of the models in the read database')
    .option('--model <name...>', 'only these models')
    .option('--drop <mirror...>', 'remove these mirrors with their rows; one that is still asked for is made again by the next migrate')
    .action(async ({ model, drop }: MigrateOptions) => {
      const readModel = requireReadModel(await context.config());
      for (const schema of selectModels(readModel, model)) {
        const { unfit, ...asked } = await askedOf(context, schema, readCaptured);
        const { files, plan } = await migrate(readDatabaseConfig(readModel), {
          schema,
          asked: { ...asked, drop },
          onWait: context.progress,
          signal: context.signal,
        });
        const done = [
          ...files.map((file) => `applied ${file}`),
          ...plan.steps.map(({ what }) => what),
          ...plan.views.map(({ name }) => `make the view ${name}`),
        ];
        context.print(done.length === 0 ? `${schema}: up to date` : done.map((line) => `${schema}: ${line}`).join('\n'));
        printNotes(context, plan, await missedBySteps(context, asked.topicPrefix, plan), unfit);
      }
    });
}

async function askedOf(context: CliContext, schema: string, readCaptured: ReadCaptured): Promise<ModelAsked & WantedMirrors> {
  const { tables, topicPrefix, projections } = requireModel(requireReadModel(await context.config()), schema);
  return {
    ...wantedMirrors(schema, tables, await readCaptured(topicPrefix), await context.locate()),
    topicPrefix,
    projections: await projectionFilesOf(context.configFolder(), projections),
  };
}

/** What new mirrors miss, since Kafka has deleted it. Kafka is asked only where there are some, and nothing waits for one that is away. */
async function missedBySteps(context: CliContext, topicPrefix: string, { steps }: ModelPlan): Promise<readonly string[]> {
  const sources = steps.flatMap(({ fills }) => fills ?? []);
  if (sources.length === 0) return [];
  try {
    await using admin = await connectKafka((await context.config()).kafka, context.logger).admin();
    return await missedBy(admin, topicPrefix, sources);
  } catch (error) {
    if (!(error instanceof CdcError)) throw error;
    return [`whether their topics reach back to their beginning is not known: ${error.message}`];
  }
}

function printNotes(
  context: CliContext,
  { notes, refused, warnings }: ModelPlan,
  missed: readonly string[],
  unfit: WantedMirrors['unfit'],
): void {
  for (const one of missed) context.progress(`new mirrors: ${one}`);
  for (const { mirror, why, remedy } of refused) context.progress(`refused: ${mirror} cannot be dropped: ${why}. ${remedy}`);
  for (const note of notes) context.progress(`differs: ${note}`);
  for (const { file, line, text, sql } of warnings) context.progress(`${file}:${line}: ${text}${sql === undefined ? '' : `\n  ${sql}`}`);
  for (const { source, why } of unfit) context.progress(`not mirrored: ${formatTableId(source)}: ${why}`);
}
