import { access, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CdcError } from '#pipeline/index.ts';
import type { ProjectFile } from './project-files.ts';

/**
 * Writes the files of a project, or none: nothing that is there is overwritten.
 *
 * @throws CdcError PROJECT_EXISTS naming what is there
 */
export async function writeProject(folder: string, files: readonly ProjectFile[]): Promise<void> {
  const there: string[] = [];
  for (const { path } of files) if (await exists(join(folder, path))) there.push(path);
  if (there.length > 0) throw new CdcError('PROJECT_EXISTS', `${folder} has ${there.join(', ')} already`);
  for (const { path, text, secret } of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text, { flag: 'wx', ...(secret === true ? { mode: 0o600 } : {}) });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
