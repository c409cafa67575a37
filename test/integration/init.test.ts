import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { after, before, suite, test } from 'node:test';
import { escapeIdentifier } from 'pg';
import { loadConfig, type PipelineConfig } from '#pipeline/index.ts';
import { initCommand } from '#project/index.ts';
import { readConnectorFile } from '#connectors/index.ts';
import { fortyPostgresTables } from '#test/support/forty-tables.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { terminal } from '#test/support/terminal.ts';

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
  let url: string;
  let project: Awaited<ReturnType<typeof projectOf>>;
  let config: PipelineConfig;
  const name = uniqueName('init');
  const [poller, replicator] = [`poller_${name}`, `replicator_${name}`];

  before(async () => {
    database = resources.use(await createLegacyDatabase({ empty: true }));
    for (const statement of fortyPostgresTables().made) await database.query(statement);
    const { user, password, host, port } = database.owner;
    url = `postgres://${user}:${encodeURIComponent(String(password))}@${host}:${port}/${database.name}`;
    project = resources.use(await projectOf(url, '--name', name, '--poller-role', poller, '--replicator-role', replicator));
    resources.defer(async () => {
      for (const role of [poller, replicator].map((one) => escapeIdentifier(one)))
        await database.queryAs(database.superuser, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    await database.queryAs(database.superuser, await readFile(join(project.folder, 'roles.sql'), 'utf8'));
    const { environment } = await testStack();
    const variables = parseEnv(await readFile(join(project.folder, '.env'), 'utf8'));
    config = await loadConfig(join(project.folder, 'pipeline.yaml'), { ...environment, ...variables });
  });
  after(() => resources.disposeAsync());

  test('writes a project once, its secrets for its owner only, and says what it leaves out', async () => {
    assert.equal((await stat(join(project.folder, '.env'))).mode & 0o777, 0o600);
    assert.match(project.printed, /not from the log: public\.scratch: it has no primary key/);
    assert.ok(!(await readFile(join(project.folder, '.env.example'), 'utf8')).includes(config.legacyDb.roles.poller.password));
    await assert.rejects(terminal(initCommand, {}).run('--database', url, '--folder', project.folder, '--name', name), {
      code: 'PROJECT_EXISTS',
      message: /pipeline\.yaml, .*roles\.sql/,
    });
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

  test('a role that exists keeps its password and is granted rights alone; a project of one strategy has no role of the other', async () => {
    await using log = await projectOf(url, '--strategy', 'log', '--name', 'shop', '--replicator-role', replicator);
    const sql = await readFile(join(log.folder, 'roles.sql'), 'utf8');
    assert.match(sql, new RegExp(`^-- The role "?${replicator}"? exists\\.$`, 'm'));
    assert.doesNotMatch(sql, /CREATE ROLE|cdc_poller/);
    assert.match(sql, /^GRANT SELECT ON public\.t20 TO/m);
    assert.match(log.printed, new RegExp(`The role ${replicator} exists: put its password into \\.env`));
    assert.match(await readFile(join(log.folder, '.env'), 'utf8'), /^LEGACY_DB_REPLICATOR_PASSWORD=$/m);
    await using query = await projectOf(url, '--strategy', 'query', '--name', 'shop', '--poller-role', 'nobody_yet');
    assert.match(await readFile(join(query.folder, 'roles.sql'), 'utf8'), /^CREATE ROLE nobody_yet LOGIN PASSWORD /m);
    const files = (await readdir(query.folder)).toSorted((a, b) => a.localeCompare(b, 'en'));
    assert.deepEqual(files, ['.env', '.env.example', '.gitignore', 'pipeline.yaml', 'projections', 'roles.sql']);
    assert.doesNotMatch(await readFile(join(query.folder, 'pipeline.yaml'), 'utf8'), /replicator|connect:|_log:/);
  });

  test('a password that the environment has already is kept, so that a Connect worker that has it can log in', async () => {
    process.env['LEGACY_DB_REPLICATOR_PASSWORD'] = "it's kept";
    try {
      await using made = await projectOf(url, '--name', 'shop', '--replicator-role', 'nobody_yet');
      assert.match(
        await readFile(join(made.folder, 'roles.sql'), 'utf8'),
        /CREATE ROLE nobody_yet LOGIN REPLICATION PASSWORD 'it''s kept';/,
      );
      assert.match(await readFile(join(made.folder, '.env'), 'utf8'), /^LEGACY_DB_REPLICATOR_PASSWORD='it'\\''s kept'$/m);
    } finally {
      delete process.env['LEGACY_DB_REPLICATOR_PASSWORD'];
    }
  });
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
