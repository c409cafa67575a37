import { Command, Option } from 'commander';
import type { CliContext } from '#pipeline/index.ts';
import { queryApiRoles } from './query-api/roles.ts';
import { startQueryApi } from './query-api/start.ts';

/** `cdc services start|roles` */
export function servicesCommand(context: CliContext): Command {
  const command = new Command('services').description('services around the pipeline: the query API');

  command
    .command('start')
    .description('start the services that pipeline.yaml has under services, until Ctrl-C')
    .addOption(new Option('--only <service>', 'only this service').choices(['query-api']))
    .action(async () => {
      const { logger, signal } = context;
      using open = new DisposableStack();
      open.use(await context.followFiles());
      await using running = await startQueryApi({ config: await context.config(), logger, signal });
      await running.closed;
    });

  command
    .command('roles')
    .description('print the SQL of the role that the query API reads as: the tables of its model, and nothing else')
    .option('--apply', 'run the grants, as the owner of the read model. The role itself is made by whoever may create roles')
    .action(async ({ apply = false }: { readonly apply?: boolean }) => {
      context.print(await queryApiRoles({ config: await context.config(), apply, logger: context.logger }));
    });
  return command;
}
