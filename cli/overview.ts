import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';

/**
 * The commands as `cdc --help` lists them, in its order: the words after the name, and what it is for. Written here too, so that help
 * and a mistyped name load no folder; test/unit/cli-overview.test.ts compares with the commands themselves.
 */
export const overview: readonly { readonly name: string; readonly words?: string; readonly about: string }[] = [
  {
    name: 'init',
    words: '[options]',
    about:
      'make a project from a database: pipeline.yaml, connector file, SQL of the roles; reads the database only, and overwrites nothing',
  },
  { name: 'demo', words: '[options]', about: 'run the whole pipeline on servers of its own and compare the strategies' },
  {
    name: 'stack',
    about: 'run the real servers (Postgres, Kafka, Kafka Connect with Debezium) locally, as processes or containers',
  },
  { name: 'legacy-db', about: 'the sample legacy system: an order database and an application that writes to it' },
  { name: 'poller', about: 'query-based capture: poll tables and publish what a query can see' },
  { name: 'connectors', about: 'log-based capture: Debezium connectors in Kafka Connect' },
  {
    name: 'doctor',
    words: '[options]',
    about: 'check the legacy database and Connect, read-only, and list each problem with the SQL to fix it',
  },
  { name: 'read-model', about: 'read models: mirrors and views that follow the topics' },
  { name: 'consumer', about: "consumers of services, by their own tables in the service's database" },
  { name: 'services', about: 'services around the pipeline: the query API, the order service, the gateway' },
  { name: 'events', about: 'events of a table, as a person reads them' },
  {
    name: 'verify',
    words: '[options] [table...]',
    about:
      'compare the rows of the source with those of the mirrors, while both change; exit code 0 if they are equal, 1 if they differ, 75 if that is not known',
  },
  { name: 'schemas', about: 'schemas in the registry, and types for consumers' },
  {
    name: 'types',
    words: '[options] [table...]',
    about:
      'make TypeScript types of captured tables: rows, keys, changes, events; exit code 1 if a table has none, 2 if --check finds a stale file',
  },
  {
    name: 'compare',
    words: '[options]',
    about: 'run a workload and measure each strategy against the ledger; pollers, connector and read models must run',
  },
  { name: 'config', about: 'the configuration' },
];

/** Words that are wrong, wherever they are wrong. */
const usageError = 64;

/** `cdc` with the options that every command takes, and no command. */
export function createRoot(): Command {
  return new Command('cdc')
    .description('change data capture from a legacy database to microservices, query-based and log-based')
    .version(ownVersion(), '--version', 'print the version')
    .option('-c, --config <file>', 'configuration file', 'pipeline.yaml')
    .option('--stack <folder>', 'state folder of the local stack', '.cdc/default')
    .configureHelp({ showGlobalOptions: true });
}

/** package.json has it, and nothing else. */
function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'));
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest) || typeof manifest.version !== 'string') {
    throw new TypeError('package.json has no version');
  }
  return manifest.version;
}

/** The command that `args` ask for, or ask for help about; null where they name none. */
export function commandAskedFor(args: readonly string[]): string | null {
  const [first, second] = createRoot().parseOptions([...args]).operands;
  const name = first === 'help' ? second : first;
  return overview.find((command) => command.name === name)?.name ?? null;
}

/** Answers help, no command, and a name that is none. Sets the exit code, and never throws. */
export async function answerWithOverview(args: readonly string[]): Promise<void> {
  const root = createRoot().configureHelp({ showGlobalOptions: true, subcommandTerm: termOf });
  for (const { name, about } of overview) root.addCommand(new Command(name).description(about));
  settle(root, 'cdc');
  try {
    await root.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = exitCodeOf(error);
  }
}

function termOf(command: Command): string {
  const words = command.name() === 'help' ? '[command]' : overview.find(({ name }) => name === command.name())?.words;
  return words === undefined ? command.name() : `${command.name()} ${words}`;
}

/** Commands that are added keep their own settings: without this each would end the process itself, with 1, which means bad news here. */
export function settle(command: Command, path: string): void {
  command.exitOverride().showHelpAfterError(`(${path} --help lists commands and options)`);
  for (const child of command.commands) settle(child, `${path} ${child.name()}`);
}

/** commander has written its message already; help and version come as errors too. */
export function exitCodeOf(error: CommanderError): number {
  return error.exitCode === 0 ? 0 : usageError;
}
