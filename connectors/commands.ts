import { Command, Option } from 'commander';
import type { CliContext } from '#pipeline/index.ts';
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
  const command = new Command('connectors').description('the log-based strategy: Debezium connectors in Kafka Connect');
  addFileCommands(command, context);
  addLookCommands(command, context);
  addStateCommands(command, context);
  addPositionCommands(command, context);
  return command;
}

/** From the source's preparation and the connector files to running connectors. */
function addFileCommands(command: Command, context: CliContext): void {
  command
    .command('prepare')
    .description("make publication, heartbeat table, replica identity and grants in the source, as the tables' owner")
    .option('--undo', 'take them back; delete the connector first')
    .addOption(json())
    .action((options) => prepare(context, options));
  command
    .command('validate [names...]')
    .description("ask the server whether it would take the connector files' settings; changes nothing")
    .action((names) => validateAll(context, names));
  command
    .command('plan [names...]')
    .description('show what apply would change; exit code 2 when there is a difference')
    .addOption(json())
    .action((names, options) => planAll(context, names, options));
  command
    .command('apply [names...]')
    .description('create or update the connectors and wait until they run; what fails is undone')
    .option('--timeout <seconds>', 'how long to wait for RUNNING', '60')
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
    .description('all connectors of this Connect cluster, with their state')
    .addOption(json())
    .action((options) => listAll(context, options));
  command
    .command('status [names...]')
    .description('tasks and why they failed, lag in the source; exit code 1 when one does not run or has lost changes')
    .addOption(json())
    .action((names, options) => showStatus(context, names, options));
  command
    .command('watch [names...]')
    .description('guard: follow tasks, slot and heartbeat, restart what FAILED, keep the policy of connect.guard; until Ctrl-C')
    .option('--once', 'look once; exit code 1 when an alarm holds')
    .option('--metrics-port <port>', 'serve Prometheus metrics at /metrics (0: any free port)')
    .option('--metrics-host <host>', 'address to serve them at', '127.0.0.1')
    .option('--json', 'one JSON object a line')
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
    .description('pause; the tasks stay, the slot keeps WAL')
    .action((names) => pauseNamed(context, names));
  command
    .command('resume <names...>')
    .description('go on after pause or stop')
    .action((names) => resumeNamed(context, names));
  command
    .command('stop <names...>')
    .description('end the tasks, keep settings and position; the slot keeps WAL')
    .action((names) => stopNamed(context, names));
  command
    .command('delete <names...>')
    .description('delete connectors; topics, position and slot stay')
    .option('--drop-slot', 'also forget the position and drop the replication slot, as the replicator: what it has not delivered is lost')
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
    .description('stop, set the position (as show --json prints it; - is standard input), go on')
    .option('--force', 'also when changes are skipped')
    .action((name, file, options) => setOffsetsOf(context, name, file, options));
  offsets
    .command('reset <name>')
    .description('stop, forget the position, go on with a new snapshot')
    .option('--drop-slot', 'also drop the slot; needed when it was invalidated')
    .action((name, options) => resetOffsets(context, name, options));
  command
    .command('snapshot [tables...]')
    .description('read captured tables (schema.table) anew beside the stream, until done')
    .option('--connector <name>', 'where several capture the table')
    .option('--where <sql>', 'only the rows that fulfil this condition')
    .option('--abort', 'end a running one; without tables, whichever runs')
    .option('--no-wait', 'only ask for it')
    .option('--timeout <seconds>', 'longest time without progress', '60')
    .addOption(json())
    .action((tables, options) => snapshot(context, tables, options));
}
