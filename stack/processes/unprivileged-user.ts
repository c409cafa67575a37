import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { CdcError } from '#pipeline/index.ts';

const run = promisify(execFile);

export type SystemUser = { readonly uid: number; readonly gid: number };

/** Postgres refuses to run as root. As root, the user to run it as; otherwise undefined: it runs as ourselves. */
export async function postgresUser(): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  return { uid: await idOfNobody('-u'), gid: await idOfNobody('-g') };
}

async function idOfNobody(flag: '-u' | '-g'): Promise<number> {
  // 65534 is what nearly every system calls nobody, should there be no `id` on PATH.
  return run('id', [flag, 'nobody']).then(
    ({ stdout }) => Number(stdout),
    () => 65_534,
  );
}

/** True when `user` may pass through every folder down to `path`, itself included (permission bits; access lists are not looked at). */
export async function canEnter(path: string, user: SystemUser): Promise<boolean> {
  const execute = 0o1;
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder);
    const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
    if (((mode >> shift) & execute) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/**
 * A folder for temporary files that `user` may enter: TMPDIR, or the system's where that is closed to others.
 *
 * @throws CdcError POSTGRES_UNSUITABLE when there is none
 */
export async function enterableTemporaryFolder(user: SystemUser): Promise<string> {
  for (const folder of [tmpdir(), '/tmp', '/var/tmp']) {
    if (await canEnter(folder, user).catch(() => false)) return folder;
  }
  throw new CdcError(
    'POSTGRES_UNSUITABLE',
    'Postgres does not run as root, and no temporary folder is open to another user: neither TMPDIR nor /tmp nor /var/tmp.',
  );
}
