import type { TableId } from '#change-events/index.ts';
import type { MariadbQuery } from './mariadb-source.ts';

/** What an account may do, by its own word: SHOW GRANTS shows those of its enabled role too. */
export type Grants = {
  /** `user@host`, as the server took the login. */
  readonly account: string;
  readonly lines: readonly Grant[];
};
export type Grant = { readonly rights: readonly string[]; readonly schema: string; readonly table: string };

export async function readGrants(query: MariadbQuery): Promise<Grants> {
  const [[account] = []] = await query('SELECT CURRENT_USER()');
  const lines = (await query('SHOW GRANTS')).flatMap(([line]) => parseGrant(line ?? '') ?? []);
  return { account: account ?? '', lines };
}

/** The words of before MariaDB 10.5, and MySQL's. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  'BINLOG MONITOR': ['REPLICATION CLIENT'],
  'REPLICATION SLAVE': ['REPLICATION REPLICA'],
};

/** Whether the account holds a right on the whole server, or, given a table, on as much as that. Of single columns nothing is said. Pure. */
export function holds({ lines }: Grants, right: string, table?: TableId): boolean {
  const named = new Set([right, 'ALL PRIVILEGES', 'ALL', ...(otherNames[right] ?? [])]);
  return lines.some(
    (line) =>
      line.rights.some((one) => named.has(one)) &&
      ((line.schema === '*' && line.table === '*') ||
        (table !== undefined && matches(line.schema, table.schema) && (line.table === '*' || line.table === table.table))),
  );
}

/** `GRANT SELECT, UPDATE (a, b) ON `shop`.`orders` TO …`; a right on columns keeps its list and so equals no right's name. */
export function parseGrant(line: string): Grant | undefined {
  const {
    rights = '',
    schema = '',
    table = '',
  } = /^GRANT (?<rights>.+?) ON (?:TABLE )?(?<schema>\*|`(?:[^`]|``)+`)\.(?<table>\*|`(?:[^`]|``)+`) TO /.exec(line)?.groups ?? {};
  if (rights === '') return undefined;
  return { rights: rights.split(/,\s*(?![^(]*\))/).map((one) => one.trim()), schema: unquoted(schema), table: unquoted(table) };
}

function unquoted(name: string): string {
  return name.startsWith('`') ? name.slice(1, -1).replaceAll('``', '`') : name;
}

/** A database in a grant is a pattern of LIKE. */
function matches(pattern: string, schema: string): boolean {
  const source = pattern.replaceAll(
    /\\([_%])|([_%])|[.*+?^${}()|[\]\\]/g,
    (sign, literal: string | undefined, wild: string | undefined) => {
      if (literal !== undefined) return literal;
      if (wild !== undefined) return wild === '_' ? '.' : '.*';
      return `\\${sign}`;
    },
  );
  return new RegExp(`^${source}$`, 'i').test(schema);
}
