import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { connect } from 'node:net';
import getPort from 'get-port';
import { waitFor } from '#stack/index.ts';

const program = '/usr/bin/redis-server';
const host = '127.0.0.1';

/** Why no Redis can be tried here, or null. CI installs one, and fails without it. */
export async function whyNoRedis(): Promise<string | null> {
  const isThere = await access(program, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (isThere || process.env['CI'] !== undefined) return null;
  return `${program} is not there (Debian: apt-get install redis-server)`;
}

export type Redis = AsyncDisposable & { readonly url: string };

/** A Redis of its own that keeps nothing on disk: one that is stopped has lost everything. On a port of a former one, if that is given. */
export async function startRedis(port?: number): Promise<Redis & { readonly port: number }> {
  const at = port ?? (await getPort({ host }));
  const child = spawn(program, ['--bind', host, '--port', String(at), '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const answers = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect({ host, port: at }, () => resolve(true));
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
    });
  await waitFor(answers, { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, describe: 'Redis answers' });
  return {
    url: `redis://${host}:${at}`,
    port: at,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
