import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { runMariadbScript } from '#connectors/mariadb/prepare.ts';
import { withMariadb, type MariadbQuery } from '#connectors/mariadb/mariadb-source.ts';
import { readConnectorFile, type ConnectorFile } from '#connectors/index.ts';
import { mariadbConnectionOptions, type Credentials } from '#pipeline/index.ts';
import { testStack, uniqueName } from './stack.ts';

const folder = join(import.meta.dirname, '..', '..', 'connectors');

/** What connectors/legacy-mariadb.json captures of one database, with a user of its own, which has what connectors/sql/mariadb gives. */
export type PreparedMariadb = AsyncDisposable & { readonly file: ConnectorFile; readonly replicator: Credentials };

/** @param tables without their database */
export async function prepareMariadbConnector(
  database: string,
  tables: readonly string[],
  overrides: Readonly<Record<string, string>> = {},
): Promise<PreparedMariadb> {
  const shipped = await readConnectorFile(join(folder, 'legacy-mariadb.json'));
  const name = uniqueName('maria_log');
  const replicator = { user: name, password: uniqueName('secret') };
  const captured = tables.map((table) => `${database}.${table}`);
  await asRoot(async (run) => {
    await run(`CREATE USER ${name}@'127.0.0.1' IDENTIFIED BY '${replicator.password}'`);
    await run(`SET @replicator = "${name}@'127.0.0.1'", @tables = '${captured.join(',')}'`);
    for (const script of ['01-tables.sql', '02-grants.sql']) await runMariadbScript(script, run);
  });
  const config = {
    ...shipped.config,
    name,
    'database.user': replicator.user,
    'database.password': replicator.password,
    'database.server.id': String(randomInt(1_000_000, 2_000_000_000)),
    'topic.prefix': name,
    'database.include.list': `${database},cdc`,
    'table.include.list': [...captured, 'cdc.heartbeat'].join(','),
    'schema.history.internal.kafka.topic': `${name}.schema-history`,
    'heartbeat.interval.ms': '500',
    ...overrides,
  };
  return {
    file: { name, config },
    replicator,
    async [Symbol.asyncDispose]() {
      await asRoot(async (run) => {
        await run(`SET @replicator = "${name}@'127.0.0.1'"`);
        await runMariadbScript('02-grants.undo.sql', run);
        await run(`DROP USER ${name}@'127.0.0.1'`);
      });
    },
  };
}

/** Runs SQL as the DBA on one connection. */
export async function asRoot<T>(work: (run: MariadbQuery) => Promise<T>): Promise<T> {
  const { mariadb } = await testStack();
  if (mariadb === undefined) throw new TypeError('the stack has no MariaDB');
  return await withMariadb({ dialect: 'mariadb', connection: mariadbConnectionOptions(mariadb, mariadb.superuser, 'test') }, work);
}
