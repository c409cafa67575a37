import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { CdcError, type CliContext, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { startGateway } from './gateway/start.ts';
import { orderServiceRoles } from './orders/roles.ts';
import { startOrderService } from './orders/start.ts';
import { queryApiRoles } from './query-api/roles.ts';
import { startQueryApi } from './query-api/start.ts';
import type { RunningService } from './running-service.ts';

type StartOptions = { readonly config: PipelineConfig; readonly logger: Logger; readonly signal: AbortSignal };
type RolesOptions = { readonly config: PipelineConfig; readonly apply: boolean; readonly logger: Logger };

/** What can be started, and its role's SQL. */
const services: Readonly<Record<ServiceName, Service>> = {
  'query-api': {
    isConfigured: (config) => config.services?.queryApi !== undefined,
    start: startQueryApi,
    role: { database: 'the read database', sql: queryApiRoles },
  },
  'order-service': {
    isConfigured: (config) => config.services?.orders !== undefined,
    start: startOrderService,
    role: { database: 'the legacy database', sql: orderServiceRoles },
  },
  gateway: {
    isConfigured: (config) => config.services?.gateway !== undefined,
    start: startGateway,
    role: null,
  },
};
type Service = {
  readonly isConfigured: (config: PipelineConfig) => boolean;
  readonly start: (options: StartOptions) => Promise<RunningService>;
  /** Where its role is, and the SQL of it; null for one that reads no database. */
  readonly role: { readonly database: string; readonly sql: (options: RolesOptions) => Promise<string> } | null;
};
const serviceNames = ['query-api', 'order-service', 'gateway'] as const;
type ServiceName = (typeof serviceNames)[number];

/** `cdc services start|roles` */
export function servicesCommand(context: CliContext): Command {
  const command = new Command('services').description('services around the pipeline: the query API, the order service, the gateway');

  command
    .command('start')
    .description('start the services that pipeline.yaml has under services, until Ctrl-C')
    .addOption(onlyOption())
    .action(async ({ only }: Only) => {
      const { logger, signal } = context;
      using open = new DisposableStack();
      const config = await context.config();
      open.use(await context.followFiles(caFiles(config)));
      await using started = new AsyncDisposableStack();
      const running: RunningService[] = [];
      for (const name of asked(config, only)) running.push(started.use(await services[name].start({ config, logger, signal })));
      await Promise.all(running.map(({ closed }) => closed));
    });

  command
    .command('roles')
    .description('print the SQL of the role of each service: what it needs, and nothing else')
    .option('--apply', 'run the grants, as the owner of the tables. The role itself is made by whoever may create roles')
    .addOption(onlyOption())
    .action(async ({ only, apply = false }: Only & { readonly apply?: boolean }) => {
      const config = await context.config();
      const names = asked(config, only).filter((name) => services[name].role !== null);
      const printed: string[] = [];
      for (const name of names) {
        const { role } = services[name];
        if (role === null) continue;
        const text = await role.sql({ config, apply, logger: context.logger });
        printed.push(apply || names.length === 1 ? text : `-- ${name}, in ${role.database}\n${text}`);
      }
      context.print(printed.join('\n'));
    });
  return command;
}

/** Read at the start alone, unlike the services' own certificates. */
function caFiles({ services: settings }: PipelineConfig): readonly string[] {
  const files = Object.values(settings?.gateway?.upstreams ?? {}).flatMap(({ caFile }) => (caFile === undefined ? [] : [resolve(caFile)]));
  return [...new Set(files)];
}

type Only = { readonly only?: ServiceName };

function onlyOption(): Option {
  return new Option('--only <service>', 'only this service').choices(serviceNames);
}

/** Without `only`, all that are configured. @throws CdcError SERVICE_NOT_CONFIGURED */
function asked(config: PipelineConfig, only: ServiceName | undefined): readonly ServiceName[] {
  if (only !== undefined) return [only];
  const names = serviceNames.filter((name) => services[name].isConfigured(config));
  if (names.length === 0) throw new CdcError('SERVICE_NOT_CONFIGURED', 'the configuration has no services');
  return names;
}
