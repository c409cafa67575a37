import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { CdcError, type CliContext } from '#pipeline/index.ts';
import { startContainerStack } from './container-stack.ts';
import { stateFile } from './records.ts';
import { startStack } from './start-stack.ts';
import { stackStatus, type StackStatus } from './status.ts';
import { resetStack, stopStack } from './stop-stack.ts';

/** `cdc stack up|status|down|reset` */
export function stackCommand(context: CliContext): Command {
  const { progress, print } = context;
  const stack = new Command('stack').description(
    'the real servers (Postgres, Kafka, Kafka Connect with Debezium) locally, as processes or as containers',
  );

  stack
    .command('up')
    .description('start the servers; they keep running until `cdc stack down`')
    .option('--no-connect', 'leave Kafka Connect out')
    .addOption(
      new Option('--with <servers...>', 'further servers (mariadb as a process only)').choices(['mariadb', 'schema-registry']).default([]),
    )
    .addOption(new Option('--as <kind>', 'how the servers run').choices(['processes', 'containers']).default('processes'))
    .action(async ({ connect, as, with: further }: { connect: boolean; as: string; with: readonly string[] }) => {
      const folder = context.stackFolder();
      const mariadb = further.includes('mariadb');
      const options = { folder, connect, registry: further.includes('schema-registry'), progress, signal: context.signal };
      if (as === 'containers') {
        if (mariadb) throw new CdcError('MARIADB_UNSUITABLE', 'MariaDB is not among the containers of docker-compose.yml.');
        await startContainerStack(options);
      } else await startStack({ ...options, mariadb });
      print(describeStatus(await stackStatus(folder)));
      print(`Addresses, roles and passwords: ${stateFile(folder)}. Commands of cdc find it by themselves.`);
    });

  stack
    .command('status')
    .description('show each process, where it listens and whether it serves; exit code 1 when not all are up')
    .option('--json', 'as JSON')
    .action(async (options: { json?: true }) => {
      const status = await stackStatus(context.stackFolder());
      print(options.json ? JSON.stringify(status, null, 2) : describeStatus(status));
      if (status.status !== 'up') context.setExitCode(1);
    });

  stack
    .command('down')
    .description('stop the servers and what was started on them; the data stays')
    .action(async () => {
      const folder = context.stackFolder();
      await stopStack(folder, { progress });
      print(`No process of the stack in ${folder} runs.`);
    });

  stack
    .command('reset')
    .description('stop the servers and delete their data, settings and logs')
    .action(async () => {
      const folder = context.stackFolder();
      await resetStack(folder, { progress });
      print(`The stack in ${folder} is deleted.`);
    });

  return stack;
}

function describeStatus({ folder, status, processes }: StackStatus): string {
  if (processes.length === 0) return `No stack runs in ${folder}. Start it with: cdc stack up`;
  const table = new Table({ head: ['process', 'status', 'address', 'pid', 'log'], style: { head: [], border: [] } });
  for (const { name, status: state, address, pid, log, detail } of processes) {
    table.push([name, detail === null ? state : `${state}: ${detail}`, address ?? '', pid ?? '', log ?? '']);
  }
  return `The stack in ${folder} is ${status}.\n${table.toString()}`;
}
