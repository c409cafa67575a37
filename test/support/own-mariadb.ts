import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withMariadb, type MariadbQuery, type MariadbSource } from '#connectors/mariadb/mariadb-source.ts';
import { mariadbConnectionOptions, type Credentials } from '#pipeline/index.ts';
import { resolveJars, waitFor } from '#stack/index.ts';
import { mariadbServer } from '#stack/servers/mariadb.ts';

const host = '127.0.0.1';
export const rootUser = { user: 'root', password: 'own' } as const;

/** A MariaDB of a test's own, whose data may be put aside and put back while it does not run. */
export type OwnMariadb = AsyncDisposable & {
  /** Runs the server on a port until the work is done. */
  run<T>(port: number, work: (query: MariadbQuery) => Promise<T>): Promise<T>;
  /** Runs it until it is disposed of or killed; `options` are further ones of the server's command line. */
  start(port: number, options?: readonly string[]): Promise<RunningMariadb>;
  backUp(): Promise<void>;
  restore(): Promise<void>;
};

export type RunningMariadb = AsyncDisposable & {
  readonly location: { readonly host: string; readonly port: number };
  /** As root, each statement on a connection of its own. */
  readonly query: MariadbQuery;
  readonly login: (credentials: Credentials) => MariadbSource;
  /** kill -9 */
  kill(): Promise<void>;
};

export async function createOwnMariadb(): Promise<OwnMariadb> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-own-mariadb-'));
  const [data, backup] = [join(folder, 'data'), join(folder, 'backup')];
  const signal = AbortSignal.timeout(120_000);
  const start = async (port: number, options: readonly string[] = []): Promise<RunningMariadb> => {
    const server = mariadbServer({
      name: 'own-mariadb',
      port,
      dataFolder: data,
      password: rootUser.password,
      throwaway: true,
      files: () => resolveJars('mariadb', { signal, progress: () => undefined }),
      configure: async () => undefined,
    });
    const { command, args, cwd, env } = await server.launch(signal);
    const child = spawn(command, [...args, ...options], { cwd, env: { ...env }, stdio: 'ignore' });
    const exited = once(child, 'exit');
    const end = async (how: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
      child.kill(how);
      await exited;
    };
    const login = (credentials: Credentials): MariadbSource => ({
      dialect: 'mariadb',
      connection: mariadbConnectionOptions({ host, port }, credentials, 'test'),
    });
    try {
      await waitFor(() => server.ready(signal), { signal, timeoutMs: 60_000, describe: `MariaDB in ${data} answers` });
    } catch (error) {
      await end('SIGKILL');
      throw error;
    }
    return {
      location: { host, port },
      login,
      query: (sql, values) => withMariadb(login(rootUser), (query) => query(sql, values)),
      kill: () => end('SIGKILL'),
      [Symbol.asyncDispose]: () => end('SIGTERM'),
    };
  };
  return {
    start,
    async run(port, work) {
      await using running = await start(port);
      return await work(running.query);
    },
    async backUp() {
      await cp(data, backup, { recursive: true });
    },
    async restore() {
      await rm(data, { recursive: true });
      await cp(backup, data, { recursive: true });
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
