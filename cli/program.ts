import { dirname, resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import {
  CdcError,
  createLogger,
  describeError,
  loadConfig,
  locateIn,
  maskSecrets,
  maskUrls,
  visible,
  type CliContext,
  type PipelineConfig,
} from '#pipeline/index.ts';
import { folderCommands } from './commands.ts';
import { followEndings, graceMs, interrupted, type Endings } from './endings.ts';
import { followFiles } from './follow-files.ts';
import { createRoot, exitCodeOf, settle } from './overview.ts';

/** For servers that a command has started and stops too. */
const graceWithServersMs = 600_000;
/** For what was written to reach its pipe, in ms. */
const leftoversMs = 500;
const startsServers: ReadonlySet<string> = new Set(['demo', 'stack']);

type Environment = Readonly<Record<string, string | undefined>>;
type GlobalOptions = { readonly config: string; readonly stack: string };

/** `cdc` with the one command that is asked for: the folders of the others stay unread. */
async function createProgram(name: string, endings: Endings): Promise<Command> {
  const program = createRoot();
  const context = createContext(() => program.opts<GlobalOptions>(), endings);
  const load = folderCommands[name];
  program.addCommand(load === undefined ? configCommand(context) : await load(context));
  settle(program, 'cdc');
  return program;
}

function createContext(options: () => GlobalOptions, endings: Endings): CliContext {
  const { signal } = endings;
  const logger = createLogger('cdc');
  const stackFolder = (): string => resolve(options().stack);
  const environment = (): Promise<Environment> => readEnvironment(stackFolder());
  const load = async (): Promise<PipelineConfig> => await loadConfig(resolve(options().config), await environment());
  let config: Promise<PipelineConfig> | undefined;
  return {
    config: () => (config ??= load()),
    environment,
    configFolder: () => dirname(resolve(options().config)),
    locate: () => locateIn(options().config),
    print: (text) => process.stdout.write(shown(text)),
    progress: (text) => process.stderr.write(shown(text)),
    setExitCode: (code) => {
      process.exitCode = code;
    },
    logger,
    signal,
    followFiles: async (more = []) =>
      followFiles({
        file: resolve(options().config),
        config: await (config ??= load()),
        load,
        more,
        logger,
        end: onChange(endings),
      }),
    stackFolder,
  };
}

/** What CDC_ON_CONFIG_CHANGE asks for: `end` for whoever starts ended programs again, `restart` for all others. */
function onChange({ changed }: Endings): ((reason: Error) => void) | undefined {
  const asked = process.env['CDC_ON_CONFIG_CHANGE'];
  if (asked !== 'end' && asked !== 'restart') return undefined;
  return (reason) => changed(reason, asked === 'restart');
}

/** The one edge at which text leaves for a terminal: data in it neither commands the terminal nor shows the secret of a URL. */
function shown(text: string): string {
  return `${visible(maskUrls(text))}\n`;
}

/** A local stack fills in what the environment does not set, so that every command finds it by itself. */
async function readEnvironment(stackFolder: string): Promise<Environment> {
  const { readStackState } = await import('#stack/state/state.ts');
  const stack = await readStackState(stackFolder);
  return { ...stack?.environment, ...process.env };
}

function configCommand(context: CliContext): Command {
  const command = new Command('config').description('the configuration');
  command
    .command('print')
    .description('print pipeline.yaml as it takes effect, with secrets masked')
    .action(async () => context.print(JSON.stringify(maskSecrets(await context.config()), null, 2)));
  return command;
}

/** One error, in a few lines: code and what, then what to do about it. */
function report(error: unknown): void {
  if (error instanceof CdcError) {
    process.stderr.write(shown(`error ${error.code}: ${error.message}\n  remedy: ${error.remedy}`));
    process.exitCode = error.exitCode;
    return;
  }
  const detail = process.env['LOG_LEVEL'] === 'debug' && error instanceof Error ? `\n${error.stack ?? ''}` : '';
  process.stderr.write(shown(`error: ${describeError(error)}${detail}`));
  process.exitCode = 70;
}

/** Runs the command of that name with what process.argv holds; sets the exit code, and never throws. */
export async function runCommand(name: string): Promise<void> {
  const endMs = startsServers.has(name) ? graceWithServersMs : graceMs;
  const endings = followEndings({ endMs, changedMs: graceMs });
  try {
    const program = await createProgram(name, endings);
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = exitCodeOf(error);
    } else if (endings.signal.aborted) {
      process.exitCode = interrupted;
    } else {
      report(error);
    }
  }
  // Everything that the signal ended has ended. A connection that waits for an answer still would keep the process for as long as its server may take.
  if (endings.signal.aborted) setTimeout(() => process.exit(), leftoversMs).unref();
}
