import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TableId } from '#change-events/index.ts';
import { CdcError, describeError, mariadbAccount, mariadbTable, mariadbText } from '#pipeline/index.ts';
import type { SourceChange } from '../postgres/source-change.ts';
import { readGrants } from './grants.ts';
import { isRefusal, withMariadb, type MariadbQuery, type MariadbSource } from './mariadb-source.ts';

const folder = join(import.meta.dirname, '..', 'sql', 'mariadb');

/** Who prepares, and for whom. */
export type MariadbRoles = {
  /** May make the database cdc and grant what the connector's user needs: a DBA. */
  readonly owner: MariadbSource;
  /** The connector's user, who must exist and be able to log in. */
  readonly replicator: MariadbSource;
};

/**
 * Makes what capture from the binlog needs in a MariaDB: heartbeat and signal tables, and the rights of the connector's user. Repeatable;
 * takes no lock on the captured tables.
 *
 * @throws CdcError SOURCE_PREPARE_FAILED naming script and cause, LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED
 */
export function prepareMariadb(roles: MariadbRoles, tables: readonly TableId[]): Promise<readonly SourceChange[]> {
  const names = tables.map(mariadbTable);
  return runScripts(roles, ['01-tables.sql', '02-grants.sql'], names);
}

/** Takes back what {@link prepareMariadb} made, and every other right of the user. Delete the connector before. @throws CdcError as there */
export function undoMariadb(roles: MariadbRoles): Promise<readonly SourceChange[]> {
  return runScripts(roles, ['02-grants.undo.sql', '01-tables.undo.sql'], []);
}

async function runScripts(
  { owner, replicator }: MariadbRoles,
  scripts: readonly string[],
  tables: readonly string[],
): Promise<readonly SourceChange[]> {
  const rights = (): Promise<Rights> => withMariadb(replicator, readRights);
  const before = await rights();
  const { made, account } = await withMariadb(owner, async (query) => {
    const old = await readMade(query);
    await query(`SET @replicator = ${mariadbText(mariadbAccount(before.account))}, @tables = ${mariadbText(tables.join(','))}`);
    for (const script of scripts) await runNamed(script, query, owner);
    return { made: compare(old, await readMade(query), ['created', 'removed']), account: before.account };
  });
  const granted = compare(before.lines, (await rights()).lines, ['granted', 'removed']);
  return [
    ...made,
    ...granted.map(({ action, object }) => ({ action, object: `${object} ${action === 'removed' ? 'from' : 'to'} ${account}` })),
  ];
}

type Rights = { readonly account: string; readonly lines: ReadonlySet<string> };

async function readRights(query: MariadbQuery): Promise<Rights> {
  const { account, lines } = await readGrants(query);
  const each = lines.flatMap(({ rights, schema, table }) => rights.map((right) => `${right} on ${schema}.${table}`));
  return { account, lines: new Set(each.filter((line) => !line.startsWith('USAGE '))) };
}

async function readMade(query: MariadbQuery): Promise<ReadonlySet<string>> {
  const rows = await query(
    `SELECT CONCAT('database ', SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'cdc' UNION ALL
     SELECT CONCAT('table cdc.', TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'cdc' AND TABLE_NAME IN ('heartbeat', 'signal')
     ORDER BY 1`,
  );
  return new Set(rows.map(([name]) => name ?? ''));
}

function compare(
  old: ReadonlySet<string>,
  now: ReadonlySet<string>,
  [added, removed]: readonly [SourceChange['action'], SourceChange['action']],
): readonly SourceChange[] {
  return [
    ...[...now].map((object) => ({ action: old.has(object) ? ('present' as const) : added, object })),
    ...[...old].filter((object) => !now.has(object)).map((object) => ({ action: removed, object })),
  ];
}

async function runNamed(script: string, query: MariadbQuery, { connection }: MariadbSource): Promise<void> {
  try {
    await runMariadbScript(script, query);
  } catch (error) {
    const isRight = isRefusal(
      error,
      'ER_ACCESS_DENIED_ERROR',
      'ER_DBACCESS_DENIED_ERROR',
      'ER_TABLEACCESS_DENIED_ERROR',
      'ER_SPECIFIC_ACCESS_DENIED_ERROR',
      'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
    );
    throw new CdcError('SOURCE_PREPARE_FAILED', `connectors/sql/mariadb/${script} as ${connection.user ?? ''}: ${describeError(error)}`, {
      cause: error,
      ...(isRight
        ? {
            remedy:
              'Run it as a DBA (legacyDb.roles.owner, or by hand): one who holds RELOAD, REPLICATION SLAVE, BINLOG MONITOR and all rights on the tables and on cdc.* WITH GRANT OPTION.',
          }
        : {}),
    });
  }
}

/** Runs a file of connectors/sql/mariadb as the program `mariadb` does: a line DELIMITER says what ends a statement from there on. */
export async function runMariadbScript(name: string, query: MariadbQuery): Promise<void> {
  const text = await readFile(join(folder, name), 'utf8');
  let delimiter = ';';
  let statement = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('--')) continue;
    if (line.startsWith('DELIMITER ')) delimiter = line.slice('DELIMITER '.length);
    else if (line.endsWith(delimiter)) {
      await query(statement + line.slice(0, -delimiter.length));
      statement = '';
    } else statement += `${line}\n`;
  }
}
