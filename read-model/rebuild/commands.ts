import Table from 'cli-table3';
import { Command } from 'commander';
import { CdcError, type CliContext } from '#pipeline/index.ts';
import { openPool } from '../database.ts';
import { readDatabaseConfig, requireModel, requireReadModel, selectModels } from '../model-config.ts';
import { projectionFilesOf } from '../views/project-files.ts';
import type { RebuildProgress } from './catch-up.ts';
import { dropVersions, rebuild, switchBack, type RebuildOptions } from './rebuild.ts';
import { listVersions } from './versions.ts';

type RebuildFlags = {
  readonly model?: string;
  readonly switch?: boolean;
  readonly switchBack?: boolean;
  readonly abort?: boolean;
  readonly dropPrevious?: boolean;
  readonly fromRetained?: boolean;
  readonly force?: boolean;
};

/** `cdc read-model rebuild` */
export function rebuildCommand(context: CliContext): Command {
  return new Command('rebuild')
    .description('fill a new version of a model from the start of its topics, while the old one stays in use')
    .option('--model <name>', 'the model')
    .option('--switch', 'use the new version as soon as it has caught up')
    .option('--switch-back', 'use the previous version again, as soon as it has caught up')
    .option('--abort', 'drop the version that is being filled')
    .option('--drop-previous', 'drop the previous versions')
    .option('--from-retained', 'fill from what the topics still have, though their start is deleted')
    .option('--force', 'drop also what you have made on a version: views, foreign keys, functions')
    .action(async (flags: RebuildFlags) => {
      const { logger, signal } = context;
      const model = await oneModel(context, flags.model);
      const onProgress = progressLines(model, context.progress);
      const config = await context.config();
      const options: RebuildOptions = {
        config,
        model,
        projections: await projectionFilesOf(context.configFolder(), requireModel(requireReadModel(config), model).projections),
        logger,
        signal,
        onProgress,
        onWait: context.progress,
        fromRetained: flags.fromRetained,
        force: flags.force,
      };
      context.print(await carryOut(options, flags));
    });
}

const sayAgainMs = 5000;

/** A line for each step forward, and every few seconds what is waited for. */
function progressLines(model: string, print: (line: string) => void): (progress: RebuildProgress) => void {
  let shown = '';
  let shownAt = 0;
  return ({ version, applied, end, waitsFor }) => {
    const line = `${model}, version ${version}: ${applied} of ${end} offsets`;
    const now = performance.now();
    if (line === shown && now - shownAt < sayAgainMs) return;
    print(line === shown || applied >= end ? `${line}, waits for ${waitsFor}` : line);
    shown = line;
    shownAt = now;
  };
}

async function carryOut(options: RebuildOptions, flags: RebuildFlags): Promise<string> {
  const { model } = options;
  if (flags.abort === true) return droppedText(model, await dropVersions(options, 'candidate'));
  if (flags.dropPrevious === true) return droppedText(model, await dropVersions(options, 'previous'));
  if (flags.switchBack === true) return `${model}: version ${await switchBack(options)} serves again.`;
  const thenSwitch = flags.switch === true;
  const version = await rebuild(options, thenSwitch);
  return thenSwitch
    ? `${model}: version ${version} serves. The version before is kept: rebuild --switch-back, or --drop-previous.`
    : `${model}: version ${version} has caught up. Let it serve with rebuild --switch, or drop it with rebuild --abort.`;
}

function droppedText(model: string, versions: readonly number[]): string {
  return versions.length === 0 ? `${model}: nothing to drop.` : `${model}: dropped version ${versions.join(', ')}.`;
}

/** `cdc read-model versions` */
export function versionsCommand(context: CliContext): Command {
  return new Command('versions')
    .description('list the versions of each model')
    .option('--json', 'print JSON')
    .action(async ({ json }: { readonly json?: boolean }) => {
      const readModel = requireReadModel(await context.config());
      const pool = openPool(readDatabaseConfig(readModel), context.logger, 1);
      try {
        const found = [];
        for (const model of selectModels(readModel, undefined)) {
          for (const version of await listVersions(pool, model)) found.push({ model, ...version });
        }
        if (json === true) {
          context.print(JSON.stringify(found, (_name, value: unknown) => (typeof value === 'bigint' ? value.toString() : value), 2));
          return;
        }
        const table = new Table({ head: ['model', 'version', 'schema', 'serves', 'views'], style: { head: [], border: [] } });
        for (const { model, version, schema, serves, viewsFilled } of found) {
          table.push([model, version, schema, serves ? 'yes' : 'no', viewsFilled ? 'filled' : 'not yet']);
        }
        context.print(table.toString());
      } finally {
        await pool.end();
      }
    });
}

async function oneModel(context: CliContext, model: string | undefined): Promise<string> {
  const [only, ...others] = selectModels(requireReadModel(await context.config()), model === undefined ? undefined : [model]);
  if (only !== undefined && others.length === 0) return only;
  throw new CdcError('READ_MODEL_NOT_CONFIGURED', `there are several read models: name one with --model (${[only, ...others].join(', ')})`);
}
