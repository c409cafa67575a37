import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chown, constants, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import type { Credentials } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { enterableTemporaryFolder, postgresUser } from '#stack/processes/unprivileged-user.ts';

const program = '/usr/sbin/pgbouncer';
const host = '127.0.0.1';

/** Why no pooler can be tried here, or null. CI installs one, and fails without it. */
export async function whyNoPgbouncer(): Promise<string | null> {
  const isThere = await access(program, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (isThere || process.env['CI'] !== undefined) return null;
  return `${program} is not there (Debian: apt-get install pgbouncer)`;
}

export type Pgbouncer = AsyncDisposable & { readonly host: string; readonly port: number };

/** pgbouncer in front of a server, for one role. */
export async function startPgbouncer(
  server: { readonly host: string; readonly port: number },
  mode: 'session' | 'transaction',
  { user, password }: Credentials,
): Promise<Pgbouncer> {
  const owner = await postgresUser();
  const folder = await mkdtemp(join(owner === undefined ? tmpdir() : await enterableTemporaryFolder(owner), 'cdc-pgbouncer-'));
  const port = await getPort({ host });
  const files = {
    'users.txt': `"${user}" "${password}"\n`,
    'pgbouncer.ini': `[databases]
* = host=${server.host} port=${server.port}
[pgbouncer]
listen_addr = ${host}
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${join(folder, 'users.txt')}
pool_mode = ${mode}
`,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  if (owner !== undefined) for (const path of ['', ...Object.keys(files)]) await chown(join(folder, path), owner.uid, owner.gid);
  const child = spawn(program, [join(folder, 'pgbouncer.ini')], { stdio: 'ignore', ...owner });
  const exited = once(child, 'exit');
  const answers = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect({ host, port }, () => resolve(true));
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
    });
  await waitFor(answers, { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, describe: 'pgbouncer answers' });
  return {
    host,
    port,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
