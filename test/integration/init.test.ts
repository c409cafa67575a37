import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { after, before, suite, test } from 'node:test';
import { Client, escapeIdentifier } from 'pg';
import { doctorCommand } from '#doctor/index.ts';
import { loadConfig, postgresClientConfig, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { initCommand } from '#project/index.ts';
import { startReadModel } from '#read-model/index.ts';
import { verifyCommand } from '#verify/index.ts';
import { readConnectorFile } from '#connectors/index.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { testKafka } from '#test/support/kafka.ts';
import { createReadDatabase, eventually, type ReadDatabase } from '#test/support/read-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { readModelOf, terminal } from '#test/support/terminal.ts';

/** Forty tables as schemas have them: kinds of keys, partitions, types of their own, odd names, with and without a time of their last change. */
function someSchema(): string {
  const stamped = 'updated_at timestamptz NOT NULL DEFAULT now()';
  const statements = [
    "CREATE SCHEMA \"Sales Dept\"; CREATE TYPE mood AS ENUM ('so so', 'good'); CREATE DOMAIN percent AS numeric(5,2);",
    `CREATE TABLE "Sales Dept"."Order Lines" ("Order No" integer, "Line" smallint, price percent, ${stamped}, PRIMARY KEY ("Order No", "Line"));`,
    'CREATE TABLE "Sales Dept"."select" (id bigserial PRIMARY KEY, "from" text, "Last Modified" date, modified_on timestamptz NOT NULL DEFAULT now());',
    `CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), mood mood, tags text[], moods mood[], age int, doubled int GENERATED ALWAYS AS (2 * age) STORED, ${stamped});`,
    `CREATE TABLE parts (id bigint, day date, note text, ${stamped}, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);`,
    "CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
    'CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what jsonb, paid_at timestamptz);',
    'CREATE TABLE countries (code char(2) PRIMARY KEY, name text);',
    'CREATE TABLE scratch (note text);',
    'CREATE TABLE old_times (id serial PRIMARY KEY, lastUpdated timestamp NOT NULL DEFAULT localtimestamp);',
  ];
  for (let index = statements.length; index < 42; index += 1)
    statements.push(
      `CREATE TABLE t${index} (id bigserial PRIMARY KEY, ref bigint, amount numeric(12,2), note varchar(40), ${stamped}); INSERT INTO t${index} (note, amount) SELECT 'n' || g, g FROM generate_series(1, 20) g;`,
    );
  statements.push(`INSERT INTO "Sales Dept"."Order Lines" VALUES (1, 1, 12.5), (1, 2, NULL); INSERT INTO "Sales Dept"."select" ("from") VALUES ('x');
    INSERT INTO people (mood, tags, moods, age) VALUES ('good', '{a,b}', '{good}', 3); INSERT INTO parts VALUES (1, '2026-05-01', 'p');
    INSERT INTO events (what) VALUES ('{}'); INSERT INTO countries VALUES ('DE', 'Germany'); INSERT INTO scratch VALUES ('?'); INSERT INTO old_times DEFAULT VALUES;`);
  return statements.join('\n');
}

async function projectOf(
  url: string,
  ...words: readonly string[]
): Promise<AsyncDisposable & { readonly folder: string; readonly printed: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-init-'));
  const { printed } = await terminal(initCommand, {}).run('--database', url, '--folder', folder, ...words);
  return { folder, printed, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

suite('cdc init', () => {
  const resources = new AsyncDisposableStack();
  let database: LegacyDatabase;
  let read: ReadDatabase;
  let project: Awaited<ReturnType<typeof projectOf>>;
  let config: PipelineConfig;
  const name = uniqueName('init');
  const [poller, replicator] = [`poller_${name}`, `replicator_${name}`];

  before(async () => {
    const stack = await testStack();
    database = resources.use(await createLegacyDatabase({ empty: true }));
    read = resources.use(await createReadDatabase());
    await database.query(someSchema());
    const { user, password, host, port, database: db } = database.owner;
    assert.equal(typeof password, 'string');
    project = resources.use(
      await projectOf(
        `postgres://${user}:${encodeURIComponent(String(password))}@${host}:${port}/${db}`,
        '--name',
        name,
        '--poller-role',
        poller,
        '--replicator-role',
        replicator,
      ),
    );
    const superuser = new Client(
      postgresClientConfig({ host: host ?? '', port: port ?? 0, database: db ?? '' }, stack.legacyServer.superuser, 'test'),
    );
    await superuser.connect();
    resources.defer(async () => {
      for (const role of [poller, replicator])
        await superuser.query(`DROP OWNED BY ${escapeIdentifier(role)}; DROP ROLE ${escapeIdentifier(role)}`);
      await superuser.end();
    });
    await superuser.query(await readFile(join(project.folder, 'roles.sql'), 'utf8'));
    const variables = parseEnv(await readFile(join(project.folder, '.env'), 'utf8'));
    const { host: readHost, port: readPort, user: readUser, password: readPassword } = read.config;
    config = await loadConfig(join(project.folder, 'pipeline.yaml'), {
      ...stack.environment,
      ...variables,
      READ_DB_HOST: readHost,
      READ_DB_PORT: String(readPort),
      READ_DB_NAME: read.name,
      READ_DB_USER: readUser,
      READ_DB_PASSWORD: readPassword,
    });
  });
  after(() => resources.disposeAsync());

  test('writes a project once, its secrets for its owner only, and says what it leaves out', async () => {
    assert.equal((await stat(join(project.folder, '.env'))).mode & 0o777, 0o600);
    assert.match(project.printed, /not from the log: public\.scratch: it has no primary key/);
    assert.ok(!(await readFile(join(project.folder, '.env.example'), 'utf8')).includes(config.legacyDb.roles.poller.password));
    const { user, password, host, port, database: db } = database.owner;
    await assert.rejects(
      terminal(initCommand, {}).run(
        '--database',
        `postgres://${user}:${String(password)}@${host}:${port}/${db}`,
        '--folder',
        project.folder,
        '--name',
        name,
      ),
      {
        code: 'PROJECT_EXISTS',
        message: /pipeline\.yaml, .*roles\.sql/,
      },
    );
  });

  test('each table has the best mode that it can be polled by, and the log those with a key', async () => {
    const modes = new Map(
      (config.poller?.tables ?? []).map(({ table, mode, timestampColumn }) => [table, `${mode} ${String(timestampColumn)}`]),
    );
    assert.equal(modes.get('public.t20'), 'timestamp+incrementing updated_at');
    assert.equal(modes.get('Sales Dept.Order Lines'), 'timestamp updated_at');
    assert.equal(modes.get('Sales Dept.select'), 'timestamp+incrementing modified_on');
    assert.match(modes.get('public.events') ?? '', /^incrementing/, 'paid_at is a business date');
    assert.match(modes.get('public.countries') ?? '', /^bulk/);
    assert.equal(modes.get('public.old_times'), 'timestamp+incrementing lastupdated');
    const { config: connector } = await readConnectorFile(join(project.folder, `connectors/${name}.json`));
    const list = connector['table.include.list'] ?? '';
    assert.ok(list.includes('public.t20') && list.includes('(?-i)Sales\\x{20}Dept.Order\\x{20}Lines') && !list.includes('scratch'), list);
    assert.equal(connector['database.password'], '${env:LEGACY_DB_REPLICATOR_PASSWORD}');
  });

  test(
    'doctor has no error about the tables for the poller, and what init made is polled, mirrored and verified',
    { timeout: 900_000 },
    async () => {
      const { printed } = await terminal(doctorCommand, config, project.folder).run('--strategy', 'query', '--json');
      const report: { readonly findings: readonly { readonly severity: string; readonly code: string; readonly subject: object }[] } =
        JSON.parse(printed);
      assert.deepEqual(
        report.findings.filter(({ severity }) => severity === 'error'),
        [],
      );
      const { readModel, poller: polled } = config;
      assert.ok(readModel && polled);
      const models = Object.fromEntries(Object.entries(readModel.models).filter(([model]) => model.endsWith('_query')));
      // A table without a time of its last change is as fresh as its last load, which comes each minute.
      const often = polled.tables.map((table) => (table.mode === 'bulk' ? { ...table, pollIntervalMs: 500 } : table));
      const query: PipelineConfig = {
        ...config,
        poller: { ...polled, heartbeatMs: 500, tables: often },
        readModel: { ...readModel, models },
      };
      const migrated = await terminal(readModelOf, query, project.folder).run('migrate');
      assert.match(migrated.printed, /make Order Lines, the mirror of Sales Dept\.Order Lines/);
      await using running = startTestPoller(query);
      await using model = await startReadModel({ config: query, logger: silentLogger, signal: new AbortController().signal });
      await untilPublished(await testKafka(), query, database);
      await eventually(
        () => read.query(`SELECT as_of FROM ${Object.keys(models)[0]}.freshness WHERE as_of IS NOT NULL`),
        (rows) => rows.length > 0,
        300_000,
      );
      const verified = await terminal(verifyCommand, query, project.folder).run('--json');
      const { tables }: { readonly tables: readonly { readonly table: string; readonly outcome: string }[] } = JSON.parse(verified.printed);
      assert.deepEqual(
        tables.filter(({ outcome }) => outcome !== 'equal'),
        [],
      );
      // The table without a key is neither polled nor mirrored.
      assert.equal(tables.length, polled.tables.length);
      void [running, model];
    },
  );
});

test('cdc init on MariaDB: modes, window, connector file and roles of its own', { skip: (await whyNoMariadb()) ?? false }, async () => {
  const { mariadb } = await testStack();
  assert.ok(mariadb);
  await using scene = await createMariadbScene(
    [
      'CREATE TABLE items (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, note text, updated_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (updated_at, id))',
      'CREATE TABLE plain (code varchar(10) COLLATE utf8mb4_bin PRIMARY KEY)',
    ],
    { tables: [{ table: 'items' }] },
  );
  const { user, password } = mariadb.roles.owner;
  await using project = await projectOf(
    `mariadb://${user}:${encodeURIComponent(password)}@${mariadb.host}:${mariadb.port}/${scene.database}`,
    '--tables',
    `${scene.database}.*`,
    '--name',
    'shop',
  );
  const yaml = await readFile(join(project.folder, 'pipeline.yaml'), 'utf8');
  assert.match(yaml, /dialect: mariadb/);
  assert.match(yaml, new RegExp(`- table: ${scene.database}\\.items\\n      mode: timestamp\\+incrementing`));
  assert.match(await readFile(join(project.folder, 'roles.sql'), 'utf8'), /CREATE USER 'cdc_poller'@'%' IDENTIFIED BY/);
  const { config } = await readConnectorFile(join(project.folder, 'connectors/shop.json'));
  assert.match(config['table.include.list'] ?? '', new RegExp(`${scene.database}\\.items`));
});
