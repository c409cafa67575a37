import { Command, Option } from 'commander';
import type { CliContext } from '#pipeline/index.ts';
import { applyAll, planAll, validateAll } from './commands/files.ts';
import { deleteNamed, listAll, pauseNamed, restartNamed, resumeNamed, showOffsets, showStatus, stopNamed } from './commands/named.ts';
import { prepare } from './commands/prepare.ts';

const json = (): Option => new Option('--json', 'print JSON for scripts');

/** `cdc connectors …`: the log-based strategy's connectors in Kafka Connect. */
export function connectorsCommand(context: CliContext): Command {
  const command = new Command('connectors').description('the log-based strategy: Debezium connectors in Kafka Connect');

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
    .command('list')
    .description('all connectors of this Connect cluster, with their state')
    .addOption(json())
    .action((options) => listAll(context, options));
  command
    .command('status [names...]')
    .description('connector, tasks and why they failed; exit code 1 when one does not run')
    .addOption(json())
    .action((names, options) => showStatus(context, names, options));
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
    .description('delete connectors; topics, offsets and the slot stay')
    .option('--drop-slot', 'also drop the replication slot, as the replicator: what it has not delivered yet is lost')
    .action((names, options) => deleteNamed(context, names, options));
  command
    .command('offsets')
    .description("the connector's position in the source")
    .command('show <name>')
    .description('print the position')
    .addOption(json())
    .action((name, options) => showOffsets(context, name, options));
  return command;
}
