import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { Client } from 'pg';
import { postgresBinaries } from '#stack/postgres-binaries.ts';
import { postgresUser } from '#stack/unprivileged-user.ts';
import { waitFor } from '#stack/index.ts';

/** A Postgres data folder of a test's own, to be copied, promoted and stopped; trust authentication, superuser postgres. */
export type OwnPostgres = AsyncDisposable & {
  /** Starts the server and resolves when it answers. */
  start(): Promise<OwnServer>;
  /** A copy of the folder, while the server does not run. */
  copy(): Promise<OwnPostgres>;
  /** Makes the server start as a standby that hears nothing from its primary. */
  makeStandby(): Promise<void>;
};

export type OwnServer = AsyncDisposable & { readonly host: string; readonly port: number; query(sql: string): Promise<unknown> };

const host = '127.0.0.1';

export async function createOwnPostgres(): Promise<OwnPostgres> {
  const folder = await emptyFolder();
  const user = await postgresUser();
  const { initdb } = await postgresBinaries(user);
  await promisify(execFile)(
    initdb,
    ['-D', join(folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    {
      ...user,
      cwd: '/',
    },
  );
  return inFolder(folder);
}

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-own-postgres-'));
  const user = await postgresUser();
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  return folder;
}

function inFolder(folder: string): OwnPostgres {
  const data = join(folder, 'data');
  return {
    start: () => startServer(data),
    async copy() {
      const other = await emptyFolder();
      const user = await postgresUser();
      await cp(data, join(other, 'data'), { recursive: true });
      if (user !== undefined) await promisify(execFile)('chown', ['-R', `${user.uid}:${user.gid}`, other]);
      await promisify(execFile)('chmod', ['700', join(other, 'data')]);
      return inFolder(other);
    },
    async makeStandby() {
      await writeFile(join(data, 'standby.signal'), '', { mode: 0o644 });
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startServer(data: string): Promise<OwnServer> {
  const user = await postgresUser();
  const { postgres } = await postgresBinaries(user);
  const port = await getPort({ host });
  const settings = ['fsync=off', `port=${port}`, `listen_addresses=${host}`, 'unix_socket_directories='];
  const child = spawn(postgres, ['-D', data, ...settings.flatMap((setting) => ['-c', setting])], { ...user, cwd: '/', stdio: 'ignore' });
  const exited = once(child, 'exit');
  const query = async (sql: string): Promise<unknown> => {
    const client = new Client({ host, port, user: 'postgres', database: 'postgres' });
    try {
      await client.connect();
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };
  await waitFor(
    async () =>
      await query('SELECT 1').then(
        () => true,
        () => false,
      ),
    {
      signal: AbortSignal.timeout(30_000),
      timeoutMs: 30_000,
      describe: `Postgres in ${data} answers`,
    },
  );
  return {
    host,
    port,
    query,
    async [Symbol.asyncDispose]() {
      child.kill('SIGINT');
      await exited;
    },
  };
}
