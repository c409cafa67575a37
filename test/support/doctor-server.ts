import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { Client, type ClientConfig } from 'pg';
import { postgresClientConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { ensureRoles } from '#stack/postgres-roles.ts';
import { postgresServer } from '#stack/postgres.ts';
import { enterableTemporaryFolder, postgresUser, type SystemUser } from '#stack/unprivileged-user.ts';
import { testStack } from './stack.ts';

type ServerSettings = Readonly<Record<string, string>>;

/** A Postgres of a test file's own, with the stack's roles and their passwords, for faults that concern the whole server. */
export type DoctorServer = AsyncDisposable & {
  readonly host: string;
  readonly port: number;
  /** Runs SQL as the superuser; rows as text. */
  readonly run: (sql: string, database?: string) => Promise<readonly Readonly<Record<string, string | null>>[]>;
  /** Stops, and starts with these settings over the first ones; as a standby of nobody when asked. */
  readonly restart: (settings: ServerSettings, options?: { readonly standby?: boolean }) => Promise<void>;
};

const rawText = { getTypeParser: () => (value: unknown) => value };

/** CDC_DOCTOR_POSTGRES=/usr/lib/postgresql/15/bin runs doctor's tests on another version than the stack's. */
const otherBinaries = process.env['CDC_DOCTOR_POSTGRES'];

/** Starts one; initdb takes about a second, a restart less. */
export async function startDoctorServer(settings: ServerSettings): Promise<DoctorServer> {
  const { roles } = await testStack();
  const user = await postgresUser();
  const folder = await mkdtemp(join(user === undefined ? tmpdir() : await enterableTemporaryFolder(user), 'cdc-doctor-'));
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  const host = '127.0.0.1';
  const port = await getPort({ host });
  const password = 'superuser-secret';
  const dataFolder = join(folder, 'data');
  if (otherBinaries !== undefined) await initialiseWith(otherBinaries, dataFolder, password, user);
  let running: ChildProcess | undefined;
  let log = '';

  const specOf = (all: ServerSettings): ReturnType<typeof postgresServer> =>
    postgresServer({
      name: 'doctor postgres',
      port,
      dataFolder,
      password,
      throwaway: true,
      settings: all,
      configure: (superuser) =>
        ensureRoles(
          superuser,
          [
            { ...roles.owner, attributes: 'CREATEDB' },
            { ...roles.application },
            { ...roles.poller },
            { ...roles.replicator, attributes: 'REPLICATION' },
          ],
          { name: 'legacy', owner: roles.owner.user },
        ),
    });
  const stop = async (): Promise<void> => {
    if (running === undefined || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGINT');
    await ended;
    running = undefined;
  };
  const start = async (all: ServerSettings, isStandby: boolean): Promise<void> => {
    const spec = specOf(all);
    const { command, args, cwd, env } = await spec.launch(AbortSignal.timeout(30_000));
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
    const ready = async (signal: AbortSignal): Promise<boolean> => {
      assert.equal(child.exitCode, null, `the server ended:\n${log}`);
      return spec.ready(signal);
    };
    const signal = AbortSignal.timeout(30_000);
    await waitFor(() => ready(signal), { signal, timeoutMs: 30_000, describe: 'doctor postgres' });
    if (!isStandby) await spec.configure?.(signal);
  };
  const superuser = (database: string): ClientConfig =>
    postgresClientConfig({ host, port, database }, { user: 'postgres', password }, 'test superuser');
  await start(settings, false);
  return {
    host,
    port,
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
    restart: async (changed, { standby = false } = {}) => {
      await stop();
      const signalFile = join(dataFolder, 'standby.signal');
      if (standby) {
        await writeFile(signalFile, '');
        if (user !== undefined) await chown(signalFile, user.uid, user.gid);
      } else await rm(signalFile, { force: true });
      await start({ ...settings, ...changed }, standby);
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function initialiseWith(binaries: string, dataFolder: string, password: string, user: SystemUser | undefined): Promise<void> {
  const passwordFile = `${dataFolder}.password`;
  await writeFile(passwordFile, password);
  if (user !== undefined) await chown(passwordFile, user.uid, user.gid);
  const args = [
    '-D',
    dataFolder,
    '-U',
    'postgres',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '-E',
    'UTF8',
    '--locale=C',
    '--no-sync',
  ];
  await promisify(execFile)(join(binaries, 'initdb'), args, { ...user, cwd: '/' });
}
