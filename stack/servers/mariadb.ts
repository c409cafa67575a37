import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Connection } from 'mysql2/promise';
import { CdcError, describeError, mariadbConnectionOptions } from '#pipeline/index.ts';
import { exists, hasCode } from '../state/file.ts';
import { serverEnvironment } from './java/java.ts';
import { relevantLines } from '../processes/log-excerpt.ts';
import { bootstrapSql, mariadbFiles, type MariadbFiles } from './mariadb-files.ts';
import { runProgram } from '../processes/run-program.ts';
import { host } from '../roles-and-variables.ts';
import type { ServerSpec } from '../processes/server-process.ts';

export type MariadbOptions = {
  readonly name: string;
  readonly port: number;
  /** Made when it is not there. */
  readonly dataFolder: string;
  /** Of the user `root`, who comes from the loopback only. */
  readonly password: string;
  /** True leaves flushing to the system. */
  readonly throwaway: boolean;
  /** The folder of the unpacked server. */
  readonly files: (signal: AbortSignal) => Promise<string>;
  /** Makes users and databases, as a DBA would; repeatable. */
  readonly configure: (root: Connection) => Promise<void>;
};

/** A MariaDB server that listens on the loopback only, with a binlog of whole rows, as log-based capture needs it. */
export function mariadbServer(options: MariadbOptions): ServerSpec {
  const connect = async (): Promise<Connection> => {
    const { createConnection } = await import('mysql2/promise');
    const role = { user: 'root', password: options.password };
    return await createConnection({ ...mariadbConnectionOptions({ host, port: options.port }, role, 'cdc stack'), connectTimeout: 2000 });
  };
  return {
    name: options.name,
    address: `${host}:${options.port}`,
    launch: async (signal) => {
      const files = await mariadbFiles(await options.files(signal));
      await initialise(files, options, signal);
      return {
        command: files.server,
        args: [...commonArguments(files, options.dataFolder), ...serverArguments(options)],
        cwd: options.dataFolder,
        env: serverEnvironment({ LC_ALL: 'C', TZ: 'UTC' }),
      };
    },
    ready: async () => {
      try {
        const connection = await connect();
        await connection.end();
        return true;
      } catch (error) {
        if (!hasCode(error, 'ER_ACCESS_DENIED_ERROR')) return false;
        throw new CdcError('STACK_START_FAILED', `${options.name} refuses its superuser: ${describeError(error)}.`, { cause: error });
      }
    },
    configure: async () => {
      const connection = await connect();
      try {
        await options.configure(connection);
      } finally {
        await connection.end();
      }
    },
    stopSignal: 'SIGTERM',
    startLimitMs: 60_000,
    stopLimitMs: 60_000,
  };
}

function commonArguments({ base, share }: MariadbFiles, dataFolder: string): string[] {
  return [
    '--no-defaults',
    // It refuses to run as root by oversight; its files are readable by root alone.
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--basedir=${base}`,
    `--datadir=${dataFolder}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${join(share, 'charsets')}`,
    '--innodb-buffer-pool-size=32M',
    '--innodb-log-file-size=16M',
    '--max-allowed-packet=64M',
  ];
}

function serverArguments({ port, throwaway }: MariadbOptions): string[] {
  return [
    `--port=${port}`,
    `--bind-address=${host}`,
    '--skip-name-resolve',
    // A socket file's name may be 107 characters long: fewer than a folder's.
    '--socket=',
    // It would make a certificate of its own at each start, which takes seconds.
    '--skip-ssl',
    '--character-set-server=utf8mb4',
    '--server-id=1',
    '--log-bin=binlog',
    '--binlog-format=ROW',
    '--binlog-row-image=FULL',
    '--performance-schema=OFF',
    ...(throwaway ? ['--innodb-flush-log-at-trx-commit=0', '--sync-binlog=0'] : ['--sync-binlog=1']),
  ];
}

/** Into a folder beside, renamed when complete: what is found under the final name is whole. */
async function initialise(files: MariadbFiles, { name, dataFolder, password }: MariadbOptions, signal: AbortSignal): Promise<void> {
  if (await exists(dataFolder)) return;
  const temporary = join(dirname(dataFolder), `.${name}-${randomUUID()}`);
  const input = `${temporary}.sql`;
  try {
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    await writeFile(input, await bootstrapSql(files, password), { mode: 0o600, flag: 'wx' });
    const args = [...commonArguments(files, temporary), '--bootstrap', '--log-warnings=0', '--innodb-flush-log-at-trx-commit=0'];
    const { code, lines } = await runProgram(files.server, args, {
      cwd: temporary,
      env: serverEnvironment({ LC_ALL: 'C' }),
      signal,
      input,
    });
    if (code !== 0) {
      throw new CdcError('STACK_START_FAILED', `mariadbd could not make ${dataFolder} for ${name}:\n${relevantLines(lines).join('\n')}`);
    }
    await rename(temporary, dataFolder);
  } finally {
    await Promise.all([temporary, input].map((path) => rm(path, { recursive: true, force: true })));
  }
}
