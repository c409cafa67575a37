import { stringify } from 'yaml';
import { formatTableId, type TableId } from '#change-events/index.ts';
import { listEntry, parseConnectorFile, type ConnectorConfig } from '#connectors/index.ts';
import { visibleLine, type LegacyDbConfig } from '#pipeline/index.ts';
import { shellQuoted } from './shell-words.ts';
import type { LookedAt } from './look-at-source.ts';
import { rolesSql, type RoleAsked, type RolesAsked } from './roles-sql.ts';

/** What a project is made of. */
export type ProjectPlan = {
  readonly name: string;
  readonly legacyDb: LegacyDbConfig;
  readonly roles: RolesAsked;
  /** Who owns the tables, for `connectors prepare`; the password is empty where none was given. */
  readonly owner: { readonly user: string; readonly password: string };
  readonly polled: readonly LookedAt[];
  readonly logged: readonly LookedAt[];
  /** Whether polled tables are swept for deletes: where no log has them. */
  readonly sweeps: boolean;
};

export type ProjectFile = { readonly path: string; readonly text: string; /** Only its owner may read it. */ readonly secret?: boolean };

/** The files of a project. `template`: the text of the shipped connector file of this database. Pure. */
export function projectFiles(plan: ProjectPlan, template: string): readonly ProjectFile[] {
  const { name, legacyDb, roles, polled, logged } = plan;
  const tables = uniqueTables([...polled, ...logged].map(({ id }) => id));
  return [
    { path: 'pipeline.yaml', text: pipelineYaml(plan) },
    ...(logged.length === 0 ? [] : [{ path: `connectors/${name}.json`, text: connectorFile(plan, template) }]),
    { path: 'roles.sql', text: rolesSql(legacyDb, roles, tables), secret: true },
    { path: '.env', text: environment(plan, true), secret: true },
    { path: '.env.example', text: environment(plan, false) },
    ...(logged.length === 0 ? [] : [{ path: '.env.owner', text: ownersEnvironment(plan.owner.password), secret: true }]),
    { path: '.gitignore', text: '.env\n.env.owner\nroles.sql\n.cdc/\n' },
    { path: 'projections/README.md', text: projectionsReadme },
  ];
}

function uniqueTables(ids: readonly TableId[]): readonly TableId[] {
  return [...new Map(ids.map((id) => [formatTableId(id), id])).values()];
}

function pipelineYaml(plan: ProjectPlan): string {
  const { name, legacyDb, polled, logged } = plan;
  const blocks = [
    `# ${name}: made by cdc init. All settings: docs/reference/settings.md. \${NAME} comes from the environment (.env).`,
    legacyDbYaml(plan),
    'kafka:\n  brokers: ${KAFKA_BROKERS}',
  ];
  if (polled.length > 0)
    blocks.push(
      [
        'poller:',
        `  name: ${scalar(name)}`,
        `  topicPrefix: ${scalar(`${name}-query`)}`,
        '  # How often each table is asked, in ms: many tables at the default of 100 are a load for the database.',
        '  pollIntervalMs: 1000',
        ...(legacyDb.dialect === 'postgres' || legacyDb.dialect === undefined
          ? []
          : ['  # Best effort: rows that commit later than overlapMs after their timestamp are lost.']),
        '  tables:',
        ...polled.flatMap((table) => tableYaml(table, plan.sweeps)),
      ].join('\n'),
    );
  if (logged.length > 0)
    blocks.push(
      [
        'connect:',
        '  url: ${CONNECT_URL}',
        '  username: ${CONNECT_USERNAME:-}',
        "  password: '${CONNECT_PASSWORD:-}'",
        `  topicPrefix: ${scalar(`${name}-log`)}`,
        `  connectors: [${scalar(`connectors/${name}.json`)}]`,
      ].join('\n'),
    );
  const model = (strategy: string): string =>
    `    ${identifier(name)}_${strategy}: { topicPrefix: ${scalar(`${name}-${strategy}`)}, groupId: ${scalar(`${name}-${strategy}`)} }`;
  blocks.push(
    [
      '# Mirrors of all captured tables, and the views of projections/*.sql: cdc read-model plan shows them.',
      'readModel:',
      '  host: ${READ_DB_HOST}',
      '  port: ${READ_DB_PORT:-5432}',
      '  database: ${READ_DB_NAME}',
      '  user: ${READ_DB_USER}',
      "  password: '${READ_DB_PASSWORD}'",
      '  models:',
      ...(polled.length > 0 ? [model('query')] : []),
      ...(logged.length > 0 ? [model('log')] : []),
    ].join('\n'),
  );
  return `${blocks.join('\n\n')}\n`;
}

function legacyDbYaml({ legacyDb, roles, owner, logged }: ProjectPlan): string {
  const { dialect = 'postgres', host, port, database, tls } = legacyDb;
  return [
    'legacyDb:',
    ...(dialect === 'postgres' ? [] : [`  dialect: ${dialect}`]),
    `  host: ${scalar(host)}`,
    `  port: ${port}`,
    `  database: ${scalar(database)}`,
    ...(tls === undefined ? [] : [`  tls: { rejectUnauthorized: ${tls.rejectUnauthorized} }`]),
    '  roles:',
    ...(roles.poller === null ? [] : [`    poller: { user: ${scalar(roles.poller.user)}, password: '\${LEGACY_DB_POLLER_PASSWORD}' }`]),
    ...(roles.replicator === null
      ? []
      : [`    replicator: { user: ${scalar(roles.replicator.user)}, password: '\${LEGACY_DB_REPLICATOR_PASSWORD}' }`]),
    ...(logged.length === 0
      ? []
      : [
          '    # For cdc connectors prepare only.',
          `    owner: { user: ${scalar(owner.user)}, password: '\${LEGACY_DB_OWNER_PASSWORD:-}' }`,
        ]),
  ].join('\n');
}

function tableYaml({ id, polled, missingIndex, sweepable }: LookedAt, sweeps: boolean): readonly string[] {
  if (polled === null) return [];
  const settings = { ...polled.settings, ...(sweeps && sweepable ? { sweep: { intervalMs: 60_000 } } : {}) };
  const lines = stringify(settings).trimEnd().split('\n');
  const swept = sweeps && !sweepable ? ' Deletes are not seen: its key cannot be swept.' : '';
  return [
    `    # ${polled.because}${swept}`,
    ...(missingIndex === null ? [] : missingIndex.split('\n').map((line) => `    # Pages sort the table without an index: ${line}`)),
    `    - table: ${scalar(formatTableId(id))}`,
    ...lines.map((line) => `      ${line}`),
  ];
}

function connectorFile({ name, legacyDb, roles, logged }: ProjectPlan, template: string): string {
  const { config } = parseConnectorFile(template, 'the shipped connector file');
  const { host, port, database, dialect, tls } = legacyDb;
  const list = [...logged.map(({ id }) => listEntry(id)), 'cdc.heartbeat'].join(',');
  const own: ConnectorConfig = {
    'database.hostname': host,
    'database.port': String(port),
    'database.user': roles.replicator?.user ?? '',
    'database.password': '${env:LEGACY_DB_REPLICATOR_PASSWORD}',
    'topic.prefix': `${name}-log`,
    'table.include.list': list,
    ...(dialect === 'mariadb'
      ? {
          'database.include.list': `${listEntry({ schema: database, table: 'x' }).split('.')[0] ?? database},cdc`,
          'database.ssl.mode': tls === undefined ? 'disable' : 'required',
          'schema.history.internal.kafka.topic': `${name}.schema-history`,
        }
      : {
          'database.dbname': database,
          'database.sslmode': tls === undefined ? 'prefer' : tls.rejectUnauthorized ? 'verify-full' : 'require',
          'slot.name': `${identifier(name)}_slot`,
          'publication.name': `${identifier(name)}_publication`,
        }),
  };
  const { name: _shipped, ...settings } = config;
  return `${JSON.stringify({ name, config: { ...settings, ...own } }, null, 2)}\n`;
}

function environment({ roles, logged }: ProjectPlan, filled: boolean): string {
  const password = (value: string): string => (filled && value !== '' ? shellQuoted(value) : '');
  return [
    '# set -a; . ./.env; set +a',
    ...(roles.poller === null ? [] : [...unknown(roles.poller), `LEGACY_DB_POLLER_PASSWORD=${password(roles.poller.password)}`]),
    ...(roles.replicator === null
      ? []
      : [
          '# Kafka Connect resolves it: the worker needs it in its environment too.',
          ...unknown(roles.replicator),
          `LEGACY_DB_REPLICATOR_PASSWORD=${password(roles.replicator.password)}`,
        ]),
    '# What a local stack (cdc stack up) sets by itself: fill these in for servers of your own.',
    '#KAFKA_BROKERS=localhost:9092',
    ...(logged.length === 0 ? [] : ['#CONNECT_URL=http://localhost:8083']),
    '#READ_DB_HOST=localhost',
    '#READ_DB_NAME=read_model',
    '#READ_DB_USER=read_model',
    '#READ_DB_PASSWORD=',
    '',
  ].join('\n');
}

function unknown({ password, user }: RoleAsked): readonly string[] {
  return password === '' ? [`# The role ${visibleLine(user)} exists: fill in its password.`] : [];
}

/** Apart from `.env`: what runs all the time must not hold it. */
function ownersEnvironment(password: string): string {
  return [
    '# For cdc connectors prepare. Delete this file when it has run.',
    `LEGACY_DB_OWNER_PASSWORD=${password === '' ? '' : shellQuoted(password)}`,
    '',
  ].join('\n');
}

/** A value of YAML, quoted where it would be read as something else. */
function scalar(text: string): string {
  return stringify(text, { lineWidth: 0, defaultStringType: 'PLAIN' }).trimEnd();
}

/** A name of Postgres that needs no quotes. */
function identifier(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, '_')
    .replace(/^(?=\d)/, '_');
}

const projectionsReadme = `# Projections

A view of the read model is one SQL file here, named as the view. For example \`order_totals.sql\`:

    -- key: order_id
    SELECT o.id AS order_id, count(*) AS lines
      FROM orders o JOIN order_items i ON i.order_id = o.id
     GROUP BY o.id

\`cdc read-model plan\` checks it; docs/projections.md says what it may hold.
`;
