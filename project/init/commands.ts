import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Command, Option } from 'commander';
import { formatTableId } from '#change-events/index.ts';
import { CdcError, type CliContext, type LegacyDbConfig } from '#pipeline/index.ts';
import { lookAtSource, type LookedAt, type Source } from './look-at-source.ts';
import { nextCommands, program } from './next-commands.ts';
import { projectFiles, type ProjectPlan } from './project-files.ts';
import type { RoleAsked } from './roles-sql.ts';
import { readSourceUrl, type SourceUrl } from './source-url.ts';
import { writeProject } from './write-project.ts';

type Strategy = 'auto' | 'query' | 'log' | 'both';
type InitFlags = {
  readonly database?: string;
  readonly strategy: Strategy;
  readonly tables?: readonly string[];
  readonly folder: string;
  readonly name?: string;
  readonly pollerRole: string;
  readonly replicatorRole: string;
};

/** `cdc init` */
export function initCommand(context: CliContext): Command {
  return new Command('init')
    .description(
      'make a project from a database: pipeline.yaml, connector file, SQL of the roles; reads the database only, and overwrites nothing',
    )
    .option('--database <url>', 'postgres://, mariadb:// or h2:// with a role that may see the tables; asked for in a terminal if left out')
    .addOption(
      new Option('--strategy <strategy>', 'how to capture; auto: both where the server’s log can be read')
        .choices(['auto', 'query', 'log', 'both'])
        .default('auto'),
    )
    .option('--tables <pattern...>', 'only these, as table, schema.table or a pattern (sales.*)')
    .option('--folder <folder>', 'where to write', '.')
    .option('--name <name>', 'name of poller, connector and topics; default: the name of the folder')
    .option('--poller-role <role>', 'name of the role of the poller', 'cdc_poller')
    .option('--replicator-role <role>', 'name of the role of the connector', 'cdc_replicator')
    .action(async (flags: InitFlags) => {
      const source = readSourceUrl(flags.database ?? (await askDatabase()));
      const folder = resolve(flags.folder);
      context.progress(`reading ${source.legacyDb.host}:${source.legacyDb.port}/${source.legacyDb.database}`);
      const found = await lookAtSource(source.legacyDb, flags.tables ?? []);
      const plan = planProject({ ...flags, name: flags.name ?? basename(folder) }, source, found, await context.environment());
      await writeProject(folder, projectFiles(plan, await template(source.legacyDb)));
      context.print(summary(plan, found));
      context.print(nextCommands(plan, flags.folder, program()));
    });
}

async function askDatabase(): Promise<string> {
  if (!process.stdin.isTTY)
    throw new CdcError('CONFIG_INVALID', 'no --database', {
      remedy: 'For example: cdc init --database postgres://owner:password@db.example.org:5432/shop',
    });
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question('Database (postgres://user:password@host:port/database): ')).trim();
  } finally {
    terminal.close();
  }
}

/** What is captured, and how. @throws CdcError NOTHING_TO_CAPTURE, CONFIG_INVALID */
function planProject(
  { name, strategy, pollerRole, replicatorRole }: Pick<InitFlags, 'strategy' | 'pollerRole' | 'replicatorRole'> & { readonly name: string },
  { legacyDb, user, password }: SourceUrl,
  { tables, whyNoLog, roles }: Source,
  environment: Readonly<Record<string, string | undefined>>,
): ProjectPlan {
  if (!/^[\w.-]+$/.test(name))
    throw new CdcError('CONFIG_INVALID', `${name}: a name has letters, digits, dot, dash or underscore`, {
      remedy: 'Give one: --name shop',
    });
  if (whyNoLog !== null && (strategy === 'log' || strategy === 'both'))
    throw new CdcError('NOTHING_TO_CAPTURE', `the log cannot be captured: ${whyNoLog}`, {
      remedy: 'Change the server, or take --strategy query.',
    });
  const logs = strategy !== 'query' && whyNoLog === null;
  const polled = strategy === 'log' ? [] : tables.filter((table) => table.polled !== null);
  const logged = logs ? tables.filter(({ whyNotLogged }) => whyNotLogged === null) : [];
  if (polled.length + logged.length === 0)
    throw new CdcError('NOTHING_TO_CAPTURE', tables.length === 0 ? 'the role sees no table' : 'none of the tables can be captured');
  // A password that is set already is kept: whatever else has it from there, a local stack's Connect worker above all, can log in too.
  const role = (of: string, variable: string): RoleAsked => {
    const exists = roles.has(of);
    return { user: of, exists, password: environment[variable] ?? (exists ? '' : newPassword()) };
  };
  return {
    name,
    legacyDb,
    owner: { user, password },
    roles: {
      poller: polled.length === 0 ? null : role(pollerRole, 'LEGACY_DB_POLLER_PASSWORD'),
      replicator: logged.length === 0 ? null : role(replicatorRole, 'LEGACY_DB_REPLICATOR_PASSWORD'),
    },
    polled,
    logged,
    sweeps: logged.length === 0,
  };
}

function newPassword(): string {
  return randomBytes(18).toString('base64url');
}

async function template({ dialect }: LegacyDbConfig): Promise<string> {
  const file = dialect === 'mariadb' ? 'legacy-mariadb.json' : 'legacy-orders.json';
  return readFile(new URL(`../../connectors/${file}`, import.meta.url), 'utf8');
}

function summary({ polled, logged, roles }: ProjectPlan, { tables, whyNoLog }: Source): string {
  return [
    `${polled.length} tables by query, ${logged.length} from the log.${whyNoLog === null ? '' : ` The log is not captured: ${whyNoLog}.`}`,
    ...tables.flatMap((table) => reasons(table, polled, logged)),
    ...[roles.poller, roles.replicator].flatMap((role) =>
      role?.password === '' ? [`The role ${role.user} exists: put its password into .env.`] : [],
    ),
  ].join('\n');
}

function reasons(table: LookedAt, polled: readonly LookedAt[], logged: readonly LookedAt[]): readonly string[] {
  const name = formatTableId(table.id);
  return [
    ...(polled.length > 0 && table.polled === null ? [`not polled: ${name}: ${table.whyNotPolled}`] : []),
    ...(logged.length > 0 && table.whyNotLogged !== null ? [`not from the log: ${name}: ${table.whyNotLogged}`] : []),
  ];
}
