import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { pipelineSchema, type LegacyDbConfig } from '#pipeline/index.ts';
import { resolveJars } from '#stack/servers/java/jars.ts';
import { javaFlags, requireJava, serverEnvironment } from '#stack/servers/java/java.ts';
import { runProgram } from '#stack/processes/run-program.ts';

const administrator = { user: 'SA', password: 'own' } as const;
const signal = AbortSignal.timeout(30 * 60_000);

/** An H2 of a test's own: databases as an application makes them, and the server of Postgres' protocol over them. */
export type OwnH2 = AsyncDisposable & {
  /** Runs a script as an application's own process, with the settings in its URL; gives whether it went through. The server must be stopped. */
  script(database: string, settings: string, sql: string): Promise<boolean>;
  start(): Promise<void>;
  stop(): Promise<void>;
  config(database: string, role?: { readonly user: string; readonly password: string }): LegacyDbConfig;
};

export async function createOwnH2(): Promise<OwnH2> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-own-h2-'));
  const data = join(folder, 'data');
  await mkdir(data);
  const java = await requireJava();
  const classes = ['-cp', join(await resolveJars('h2', { signal, progress: () => undefined }), '*')];
  const port = await getPort();
  let server: ReturnType<typeof spawn> | null = null;
  const stop = async (): Promise<void> => {
    const running = server;
    server = null;
    if (running === null) return;
    const ended = once(running, 'exit');
    running.kill('SIGTERM');
    await ended;
  };
  return {
    async script(database, settings, sql) {
      const file = join(folder, 'script.sql');
      await writeFile(file, sql);
      const url = `jdbc:h2:file:${join(data, database)}${settings}`;
      const login = ['-user', administrator.user, '-password', administrator.password];
      const args = [...javaFlags('64m'), ...classes, 'org.h2.tools.RunScript', '-url', url, ...login, '-script', file];
      const { code } = await runProgram(java, args, { env: serverEnvironment({ TZ: 'UTC' }), cwd: folder, signal });
      return code === 0;
    },
    async start() {
      const flags = [...javaFlags('64m'), '-Dh2.bindAddress=127.0.0.1', ...classes];
      const started = spawn(java, [...flags, 'org.h2.tools.Server', '-pg', '-pgPort', String(port), '-baseDir', data], {
        env: serverEnvironment({ TZ: 'UTC' }),
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      server = started;
      // It says where it listens when it does.
      for await (const chunk of started.stdout) if (String(chunk).includes('PG server running')) break;
    },
    stop,
    config: (database, role = administrator) =>
      pipelineSchema.shape.legacyDb.parse({ dialect: 'h2', host: '127.0.0.1', port, database, roles: { poller: role } }),
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
