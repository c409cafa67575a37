import { Command, Option } from 'commander';
import { CdcError, type CliContext, type PipelineConfig } from '#pipeline/index.ts';
import { startGateway } from './gateway/start.ts';
import { queryApiRoles } from './query-api/roles.ts';
import { startQueryApi } from './query-api/start.ts';

type Service = {
  readonly setting: keyof NonNullable<PipelineConfig['services']>;
  readonly start: (options: Parameters<typeof startGateway>[0]) => Promise<AsyncDisposable & { readonly closed: Promise<void> }>;
};

/** In the order in which they start: what others need comes first. */
const services: Readonly<Record<string, Service>> = {
  'query-api': { setting: 'queryApi', start: startQueryApi },
  gateway: { setting: 'gateway', start: startGateway },
};

/** `cdc services start|roles` */
export function servicesCommand(context: CliContext): Command {
  const command = new Command('services').description('services around the pipeline: the query API, the gateway');

  command
    .command('start')
    .description('start the services that pipeline.yaml has under services, until Ctrl-C')
    .addOption(new Option('--only <service>', 'only this service').choices(Object.keys(services)))
    .action(async ({ only }: { readonly only?: string }) => {
      const { logger, signal } = context;
      using open = new DisposableStack();
      open.use(await context.followFiles());
      const config = await context.config();
      const asked = Object.entries(services).filter(
        ([name, { setting }]) => (only ?? name) === name && (only !== undefined || config.services?.[setting] !== undefined),
      );
      if (asked.length === 0) throw new CdcError('SERVICE_NOT_CONFIGURED', 'the configuration has no service under services');
      await using running = new AsyncDisposableStack();
      const started = [];
      for (const [, { start }] of asked) started.push(running.use(await start({ config, logger, signal })));
      // The first that ends ends the others.
      await Promise.race(started.map(({ closed }) => closed));
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
