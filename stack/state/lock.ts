import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import * as z from 'zod';
import { CdcError } from '#pipeline/index.ts';
import { hasCode } from './file.ts';
import { isSameProcess, processIdentity } from '../processes/process-identity.ts';
import { waitFor } from '../wait-for.ts';

const holderSchema = z.object({ pid: z.number(), startedAt: z.string() });

/**
 * Runs `work` while this process holds the lock file `path`. A lock whose holder has died is taken over. With `waitMs` 0 a held
 * lock is an error at once.
 *
 * @throws CdcError STACK_BUSY naming the holder's pid
 */
export async function withLock<T>(
  path: string,
  options: { readonly signal: AbortSignal; readonly waitMs: number },
  work: () => Promise<T>,
): Promise<T> {
  const acquired = async (): Promise<boolean> => {
    if (await tryAcquire(path)) return true;
    if (options.waitMs > 0) return false;
    throw await busy(path);
  };
  try {
    await waitFor(acquired, { signal: options.signal, timeoutMs: options.waitMs, describe: 'lock', intervalMs: 20 });
  } catch (error) {
    throw error instanceof CdcError && error.code === 'WAIT_TIMEOUT' ? await busy(path) : error;
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function busy(path: string): Promise<CdcError> {
  const holder = await readHolder(path);
  return new CdcError('STACK_BUSY', `Process ${holder?.pid ?? '(just ended)'} is at work here: it holds ${path}.`);
}

async function tryAcquire(path: string): Promise<boolean> {
  const mine = `${path}.${randomUUID()}`;
  await writeFile(mine, JSON.stringify({ pid: process.pid, startedAt: await processIdentity(process.pid) }));
  try {
    if (await linked(mine, path)) return true;
    const holder = await readHolder(path);
    if (holder === null || (await isSameProcess(holder))) return false;
    await removeStale(path, holder.pid);
    return await linked(mine, path);
  } finally {
    await rm(mine, { force: true });
  }
}

/** A hard link appears with its content or not at all, and not where there is one. */
async function linked(file: string, path: string): Promise<boolean> {
  try {
    await link(file, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Moves the stale lock away; if another process was quicker and the lock is already a new one, puts it back. */
async function removeStale(path: string, stalePid: number): Promise<void> {
  const away = `${path}.${randomUUID()}`;
  try {
    await rename(path, away);
    const moved = await readHolder(away);
    if (moved !== null && moved.pid !== stalePid) await link(away, path);
    await rm(away, { force: true });
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EEXIST')) throw error;
  }
}

async function readHolder(path: string): Promise<z.output<typeof holderSchema> | null> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}
