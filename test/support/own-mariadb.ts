import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { mariadbConnectionOptions } from '#pipeline/index.ts';
import { resolveJars, waitFor } from '#stack/index.ts';
import { mariadbServer } from '#stack/mariadb.ts';

const host = '127.0.0.1';
export const rootUser = { user: 'root', password: 'own' } as const;

/** A MariaDB of a test's own, whose data may be put aside and put back while it does not run. */
export type OwnMariadb = AsyncDisposable & {
  /** Runs the server on a port until the work is done. */
  run<T>(port: number, work: (query: (sql: string) => Promise<void>) => Promise<T>): Promise<T>;
  backUp(): Promise<void>;
  restore(): Promise<void>;
};

export async function createOwnMariadb(): Promise<OwnMariadb> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-own-mariadb-'));
  const [data, backup] = [join(folder, 'data'), join(folder, 'backup')];
  const signal = AbortSignal.timeout(120_000);
  return {
    async run(port, work) {
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
      const child = spawn(command, args, { cwd, env: { ...env }, stdio: 'ignore' });
      const exited = once(child, 'exit');
      try {
        await waitFor(() => server.ready(signal), { signal, timeoutMs: 60_000, describe: `MariaDB in ${data} answers` });
        return await work(async (sql) => {
          const connection = await createConnection(mariadbConnectionOptions({ host, port }, rootUser, 'test'));
          try {
            await connection.query(sql);
          } finally {
            await connection.end();
          }
        });
      } finally {
        child.kill('SIGTERM');
        await exited;
      }
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
