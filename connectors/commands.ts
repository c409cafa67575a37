import { Command, Option } from 'commander';
import { CdcError, type CliContext } from '#pipeline/index.ts';
import { applyAll, planAll, render, validateAll } from './commands/files.ts';
import { deleteNamed, listAll, pauseNamed, restartNamed, resumeNamed, stopNamed } from './commands/named.ts';
import { resetOffsets, setOffsetsOf, showOffsets } from './commands/offsets.ts';
import { prepare } from './commands/prepare.ts';
import { snapshot } from './commands/snapshot.ts';
import { showStatus } from './commands/status.ts';
import { watch } from './commands/watch.ts';

const json = (): Option => new Option('--json', 'print JSON for scripts');

/** `cdc connectors …`: the log-based strategy's connectors in Kafka Connect. */
export function connectorsCommand(context: CliContext): Command {
  const command = new Command('connectors').description('log-based capture: Debezium connectors in Kafka Connect');
  command.hook('preAction', () => refuseH2(context));
  addFileCommands(command, context);
  addLookCommands(command, context);
  addStateCommands(command, context);
  addPositionCommands(command, context);
  return command;
}

/** It has no log that a connector could read. */
async function refuseH2(context: CliContext): Promise<void> {
  const { dialect, host, port, database } = (await context.config()).legacyDb;
  if (dialect === 'h2') throw new CdcError('DIALECT_UNSUPPORTED', `${host}:${port}/${database} is an H2, which has no log to capture`);
}

/** From the source's preparation and the connector files to running connectors. */
function addFileCommands(command: Command, context: CliContext): void {
  command
    .command('prepare')
    .description('create publication, heartbeat table, replica identity and grants in the source, as the owner of the tables')
    .option('--undo', 'remove them again; delete the connector first')
    .addOption(json())
    .action((options) => prepare(context, options));
  command
    .command('validate [names...]')
    .description('check the connector files on the server; changes nothing')
    .action((names) => validateAll(context, names));
  command
    .command('plan [names...]')
    .description('show what apply would change; exit code 2 if there is a difference')
    .addOption(json())
    .action((names, options) => planAll(context, names, options));
  command
    .command('apply [names...]')
    .description('create or update the connectors and wait until they run; undo what fails')
    .option('--timeout <seconds>', 'longest wait for RUNNING', '60')
    .option('--keep-captured', 'refuse files that would capture less than what runs')
    .addOption(json())
    .action((names, options) => applyAll(context, names, options));
  command
    .command('render [names...]')
    .description('print the connector files as KafkaConnector resources for the Strimzi operator')
    .requiredOption('--strimzi <cluster>', 'name of the KafkaConnect resource')
    .option('--namespace <name>', 'namespace of the resources')
    .action((names, options) => render(context, names, options));
}

function addLookCommands(command: Command, context: CliContext): void {
  command
    .command('list')
    .description('list all connectors of this Connect cluster, with their state')
    .addOption(json())
    .action((options) => listAll(context, options));
  command
    .command('status [names...]')
    .description('show tasks, why they failed, and the lag in the source; exit code 1 if one does not run or has lost changes')
    .addOption(json())
    .action((names, options) => showStatus(context, names, options));
  command
    .command('watch [names...]')
    .description('run the guard until Ctrl-C: check tasks, slot and heartbeat, restart what FAILED, as connect.guard says')
    .option('--once', 'check once; exit code 1 if an alarm is raised')
    .option('--metrics-port <port>', 'serve Prometheus metrics at /metrics (0: any free port)')
    .option('--metrics-host <host>', 'address to listen on', '127.0.0.1')
    .option('--json', 'print one JSON object per line')
    .action((names, options) => watch(context, names, options));
}

function addStateCommands(command: Command, context: CliContext): void {
  command
    .command('restart <names...>')
    .description('restart connectors with their tasks')
    .option('--only-failed', 'only the parts that are FAILED')
    .action((names, options) => restartNamed(context, names, options));
  command
    .command('pause <names...>')
    .description('pause connectors; tasks stay, the slot keeps WAL')
    .action((names) => pauseNamed(context, names));
  command
    .command('resume <names...>')
    .description('resume connectors after pause or stop')
    .action((names) => resumeNamed(context, names));
  command
    .command('stop <names...>')
    .description('end the tasks, keep settings and position; the slot keeps WAL')
    .action((names) => stopNamed(context, names));
  command
    .command('delete <names...>')
    .description('delete connectors; topics, position and slot stay')
    .option('--drop-slot', 'also delete the position and drop the replication slot, as the replicator; changes not delivered are lost')
    .action((names, options) => deleteNamed(context, names, options));
}

function addPositionCommands(command: Command, context: CliContext): void {
  const offsets = command.command('offsets').description("the connector's position in the source");
  offsets
    .command('show <name>')
    .description('print the position')
    .addOption(json())
    .action((name, options) => showOffsets(context, name, options));
  offsets
    .command('set <name> <file>')
    .description('stop, set the position (in the format of show --json; - is standard input), resume')
    .option('--force', 'even if changes are skipped')
    .action((name, file, options) => setOffsetsOf(context, name, file, options));
  offsets
    .command('reset <name>')
    .description('stop, delete the position, start again with a new snapshot')
    .option('--drop-slot', 'also drop the slot; needed if it was invalidated')
    .action((name, options) => resetOffsets(context, name, options));
  command
    .command('snapshot [tables...]')
    .description('read captured tables (schema.table) again beside the stream, until done')
    .option('--connector <name>', 'which connector, if several capture the table')
    .option('--where <sql>', 'only rows that match this condition')
    .option('--abort', 'end a running snapshot; without tables, any that runs')
    .option('--no-wait', 'request it and do not wait')
    .option('--timeout <seconds>', 'longest time without progress', '60')
    .addOption(json())
    .action((tables, options) => snapshot(context, tables, options));
}
