import { dirname, resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { CdcError, createLogger, describeError, loadConfig, maskSecrets, type CliContext, type PipelineConfig } from '#pipeline/index.ts';
import { folderCommands } from './commands.ts';

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

/** The command that is asked for; all of them for help, and for a name that is none. */
async function createProgram(args: readonly string[], signal: AbortSignal): Promise<Command> {
  const program = new Command('cdc')
    .description('change data capture from a legacy database to microservices, query-based and log-based')
    .option('-c, --config <file>', 'the pipeline', 'pipeline.yaml')
    .option('--stack <folder>', 'state folder of the local stack', '.cdc/default')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  const context = createContext(() => program.opts<GlobalOptions>(), signal);
  const asked = program.parseOptions([...args]).operands[0] ?? '';
  const isFolders = Object.hasOwn(folderCommands, asked);
  for (const [name, load] of Object.entries(folderCommands)) if (!isFolders || name === asked) program.addCommand(await load(context));
  if (!isFolders) program.addCommand(configCommand(context));
  settle(program, 'cdc');
  return program;
}

/** Commands that are added keep their own settings: without this each would end the process itself, with 1, which means bad news here. */
function settle(command: Command, path: string): void {
  command.exitOverride().showHelpAfterError(`(${path} --help tells what there is)`);
  for (const child of command.commands) settle(child, `${path} ${child.name()}`);
}

function createContext(options: () => GlobalOptions, signal: AbortSignal): CliContext {
  const stackFolder = (): string => resolve(options().stack);
  let config: Promise<PipelineConfig> | undefined;
  return {
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
}

/** A local stack fills in what the environment does not set, so that every command finds it by itself. */
async function loadPipeline(file: string, stackFolder: string): Promise<PipelineConfig> {
  const { readStackState } = await import('#stack/state.ts');
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

/** Runs what process.argv asks for; sets the exit code, and never throws. */
export async function main(): Promise<void> {
  const controller = abortOnSignals();
  try {
    const program = await createProgram(process.argv.slice(2), controller.signal);
    await program.parseAsync();
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
