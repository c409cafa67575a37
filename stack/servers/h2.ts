import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { CdcError, describeError, postgresClientConfig } from '#pipeline/index.ts';
import { exists, hasCode } from '../state/file.ts';
import { relevantLines } from '../processes/log-excerpt.ts';
import { runProgram } from '../processes/run-program.ts';
import { host } from '../roles-and-variables.ts';
import type { ServerSpec } from '../processes/server-process.ts';
import { javaFlags, serverEnvironment } from './java/java.ts';

/** The database that the server is made with, and its administrator. */
const database = 'legacy';
const administrator = 'sa';

type Credentials = { readonly user: string; readonly password: string };

export type H2Options = {
  readonly name: string;
  readonly port: number;
  /** Made when it is not there. */
  readonly dataFolder: string;
  /** Of the administrator. */
  readonly password: string;
  readonly roles: Readonly<Record<'owner' | 'poller', Credentials>>;
  /** True lets a commit be on the disk half a second later. */
  readonly throwaway: boolean;
  readonly runtime: (signal: AbortSignal) => Promise<{
    readonly java: string;
    /** The folder of H2's jar. */
    readonly jars: string;
  }>;
};

/** H2's server of Postgres' protocol, which listens on the loopback only and serves one database: no login makes another. */
export function h2Server(options: H2Options): ServerSpec {
  const { name, port, dataFolder, roles } = options;
  const connect = async (): Promise<Client> => {
    const client = new Client(
      postgresClientConfig({ host, port, database }, { user: administrator, password: options.password }, 'cdc stack'),
    );
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  return {
    name,
    address: `${host}:${port}`,
    launch: async (signal) => {
      const { java, jars } = await options.runtime(signal);
      const run = [...javaFlags('128m'), `-Dh2.bindAddress=${host}`, '-cp', join(jars, '*')];
      await initialise({ java, run }, options, signal);
      return {
        command: java,
        args: [...run, 'org.h2.tools.Server', '-pg', '-pgPort', String(port), '-baseDir', dataFolder],
        cwd: dataFolder,
        env: serverEnvironment({ TZ: 'UTC' }),
      };
    },
    ready: async () => {
      try {
        const client = await connect();
        await client.end();
        return true;
      } catch (error) {
        // It hangs up on a login that it refuses; before it listens, nothing is there.
        if (hasCode(error, 'ECONNREFUSED') || !/terminated/.test(describeError(error))) return false;
        throw new CdcError('STACK_START_FAILED', `${name} refuses its administrator: ${describeError(error)}.`, { cause: error });
      }
    },
    configure: async () => {
      const client = await connect();
      try {
        for (const statement of rolesSql(roles)) await client.query(statement);
      } finally {
        await client.end();
      }
    },
    stopSignal: 'SIGTERM',
    startLimitMs: 60_000,
    stopLimitMs: 60_000,
  };
}

/** Users that are missing, every password; the owner may do everything in any schema, the poller read what is in `public`. Repeatable. */
function rolesSql({ owner, poller }: H2Options['roles']): readonly string[] {
  const users = [owner, poller].flatMap(({ user, password }) => [
    `CREATE USER IF NOT EXISTS ${user} PASSWORD ${plainText(password)}`,
    `ALTER USER ${user} SET PASSWORD ${plainText(password)}`,
  ]);
  return [
    ...users,
    `GRANT ALTER ANY SCHEMA TO ${owner.user}`,
    `GRANT ALL ON SCHEMA public TO ${owner.user}`,
    `GRANT SELECT ON SCHEMA public TO ${poller.user}`,
  ];
}

function plainText(text: string): string {
  if (/['\\\n]/.test(text)) throw new TypeError('a password has a quote, a backslash or a line feed');
  return `'${text}'`;
}

/**
 * Into a folder beside, renamed when complete. Made with the settings that the protocol's server asks for, so that every user gets in. It stays open while the
 * server runs, whoever comes and goes.
 */
async function initialise(
  { java, run }: { readonly java: string; readonly run: readonly string[] },
  { name, dataFolder, password, throwaway }: H2Options,
  signal: AbortSignal,
): Promise<void> {
  if (await exists(dataFolder)) return;
  const temporary = join(dirname(dataFolder), `.${name}-${randomUUID()}`);
  const script = `${temporary}.sql`;
  try {
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    const statements = [
      `ALTER USER ${administrator} SET PASSWORD ${plainText(password)}`,
      'SET DB_CLOSE_DELAY -1',
      ...(throwaway ? [] : ['SET WRITE_DELAY 0']),
    ];
    await writeFile(script, statements.map((statement) => `${statement};\n`).join(''), { mode: 0o600, flag: 'wx' });
    const url = `jdbc:h2:file:./${database};MODE=PostgreSQL;DATABASE_TO_LOWER=TRUE;DEFAULT_NULL_ORDERING=HIGH`;
    const args = [...run, 'org.h2.tools.RunScript', '-url', url, '-user', administrator, '-script', script];
    const { code, lines } = await runProgram(java, args, { cwd: temporary, env: serverEnvironment({ TZ: 'UTC' }), signal });
    if (code !== 0) {
      throw new CdcError('STACK_START_FAILED', `H2 could not make ${dataFolder} for ${name}:\n${relevantLines(lines).join('\n')}`);
    }
    await rename(temporary, dataFolder);
  } finally {
    await Promise.all([temporary, script].map((path) => rm(path, { recursive: true, force: true })));
  }
}
