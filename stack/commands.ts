import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { CdcError, type CliContext } from '#pipeline/index.ts';
import { startContainerStack } from './containers/container-stack.ts';
import { stateFile } from './state/records.ts';
import { startStack } from './start-stack.ts';
import { stackStatus, type StackStatus } from './status.ts';
import { resetStack, stopStack } from './stop-stack.ts';

/** `cdc stack up|status|down|reset` */
export function stackCommand(context: CliContext): Command {
  const { progress, print } = context;
  const stack = new Command('stack').description(
    'run the real servers (Postgres, Kafka, Kafka Connect with Debezium) locally, as processes or containers',
  );

  stack
    .command('up')
    .description('start the servers; they keep running until `cdc stack down`')
    .option('--no-connect', 'without Kafka Connect')
    .addOption(
      new Option('--with <servers...>', 'more servers; mariadb, h2 and identity-provider as processes only')
        .choices(['mariadb', 'h2', 'schema-registry', 'identity-provider'])
        .default([]),
    )
    .addOption(new Option('--as <kind>', 'how the servers run').choices(['processes', 'containers']).default('processes'))
    .action(async ({ connect, as, with: further }: { connect: boolean; as: string; with: readonly string[] }) => {
      const folder = context.stackFolder();
      const mariadb = further.includes('mariadb');
      const h2 = further.includes('h2');
      const identityProvider = further.includes('identity-provider');
      const options = { folder, connect, registry: further.includes('schema-registry'), progress, signal: context.signal };
      if (as === 'containers') {
        if (mariadb) throw new CdcError('MARIADB_UNSUITABLE', 'MariaDB is not among the containers of docker-compose.yml.');
        if (h2 || identityProvider)
          throw new CdcError(
            'CONFIG_INVALID',
            `--with ${h2 ? 'h2: H2' : 'identity-provider: the sample identity provider'} is not among the containers of docker-compose.yml`,
            { remedy: 'Run it as a process.' },
          );
        await startContainerStack(options);
      } else await startStack({ ...options, mariadb, h2, identityProvider });
      print(describeStatus(await stackStatus(folder)));
      print(`Addresses, roles and passwords: ${stateFile(folder)}. The commands of cdc find this stack by themselves.`);
    });

  stack
    .command('status')
    .description('show each process, its address and whether it is up; exit code 1 if not all are up')
    .option('--json', 'print JSON')
    .action(async (options: { json?: true }) => {
      const status = await stackStatus(context.stackFolder());
      print(options.json ? JSON.stringify(status, null, 2) : describeStatus(status));
      if (status.status !== 'up') context.setExitCode(1);
    });

  stack
    .command('down')
    .description('stop the servers and what was started on them; keep the data')
    .action(async () => {
      const folder = context.stackFolder();
      await stopStack(folder, { progress });
      print(`No process of the stack in ${folder} runs.`);
    });

  stack
    .command('reset')
    .description('stop the servers and delete data, settings and logs')
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
