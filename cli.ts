#!/usr/bin/env -S node --disable-warning=TimeoutNegativeWarning
/**
 * cdc: one program for the whole pipeline. This file only wires: each folder brings its own commands. Exit codes: 0 done; 1 the answer is
 * bad news (a status that is not well, errors of doctor); 2 there is a difference (connectors plan), or doctor has warnings or unknowns;
 * 64-78 an error of the catalogue, as docs/errors.md lists them; 130 interrupted.
 */
import { dirname, resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { pollerCommand } from '#cdc-poller/commands.ts';
import { compareCommand } from '#comparison/commands.ts';
import { demoCommand } from '#comparison/index.ts';
import { connectorsCommand } from '#connectors/commands.ts';
import { doctorCommand } from '#connectors/index.ts';
import { legacyDbCommand } from '#legacy-db/commands.ts';
import { CdcError, createLogger, describeError, loadConfig, maskSecrets, type CliContext, type PipelineConfig } from '#pipeline/index.ts';
import { readModelCommand } from '#read-model/commands.ts';
import { stackCommand } from '#stack/commands.ts';
import { readStackState } from '#stack/index.ts';

const interrupted = 130;

type GlobalOptions = { readonly config: string; readonly stack: string };

/** Aborted by the first SIGINT or SIGTERM; further ones change nothing, since what runs is already stopping. */
function abortOnSignals(): AbortController {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!controller.signal.aborted) process.stderr.write(`${signal}: stopping\n`);
      controller.abort(new Error(`interrupted by ${signal}`));
    });
  }
  return controller;
}

function createProgram(signal: AbortSignal): Command {
  const program = new Command('cdc')
    .description('change data capture from a legacy database to microservices, query-based and log-based')
    .option('-c, --config <file>', 'the pipeline', 'pipeline.yaml')
    .option('--stack <folder>', 'state folder of the local stack', '.cdc/default')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  const options = (): GlobalOptions => program.opts<GlobalOptions>();
  const stackFolder = (): string => resolve(options().stack);
  let config: Promise<PipelineConfig> | undefined;
  const context: CliContext = {
    config: () => (config ??= loadPipeline(options().config, stackFolder())),
    configFolder: () => dirname(resolve(options().config)),
    print: (text) => process.stdout.write(`${text}\n`),
    progress: (text) => process.stderr.write(`${text}\n`),
    setExitCode: (code) => {
      process.exitCode = code;
    },
    logger: createLogger('cdc'),
    signal,
    stackFolder,
  };
  for (const command of [
    demoCommand(context),
    stackCommand(context),
    legacyDbCommand(context),
    pollerCommand(context),
    connectorsCommand(context),
    doctorCommand(context),
    readModelCommand(context),
    compareCommand(context),
    configCommand(context),
  ]) {
    program.addCommand(command);
  }
  return program;
}

/** A local stack fills in what the environment does not set, so that every command finds it by itself. */
async function loadPipeline(file: string, stackFolder: string): Promise<PipelineConfig> {
  const stack = await readStackState(stackFolder);
  return await loadConfig(resolve(file), { ...stack?.environment, ...process.env });
}

function configCommand(context: CliContext): Command {
  const command = new Command('config').description('the configuration');
  command
    .command('print')
    .description('show pipeline.yaml as it takes effect, secrets masked')
    .action(async () => context.print(JSON.stringify(maskSecrets(await context.config()), null, 2)));
  return command;
}

/** One error, in a few lines: code and what, then what to do about it. */
function report(error: unknown): void {
  if (error instanceof CdcError) {
    process.stderr.write(`error ${error.code}: ${error.message}\n  remedy: ${error.remedy}\n`);
    process.exitCode = error.exitCode;
    return;
  }
  const detail = process.env['LOG_LEVEL'] === 'debug' && error instanceof Error ? `\n${error.stack ?? ''}` : '';
  process.stderr.write(`error: ${describeError(error)}${detail}\n`);
  process.exitCode = 70;
}

async function main(): Promise<void> {
  const controller = abortOnSignals();
  try {
    await createProgram(controller.signal).parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has written its message already; help and version come as errors too.
      process.exitCode = error.exitCode === 0 ? 0 : 64;
    } else if (controller.signal.aborted) {
      process.exitCode = interrupted;
    } else {
      report(error);
    }
  }
}

await main();
