import { readdir, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CdcError } from '#pipeline/index.ts';
import { exists, hasCode } from './state/file.ts';
import { hasContainerStack, stopContainerStack } from './containers/container-stack.ts';
import { withLock } from './state/lock.ts';
import { stopMains } from './processes/main-process.ts';
import { noProgress, type Progress } from './progress.ts';
import { removeStackState } from './state/records.ts';
import { composeServers, stackServers } from './servers/servers.ts';
import { readSettings, settingsFile } from './settings.ts';
import { readStackState } from './state/state.ts';

export type StopOptions = { readonly progress?: Progress };

/**
 * Stops what `startStack` and `startMain` started in this folder, from whatever process: our own programs first, then Connect, then
 * Kafka and Postgres. Waits until each has ended; the data stays. A pid that now belongs to another process is left alone. Does
 * nothing when nothing runs.
 *
 * @throws CdcError STACK_STOP_FAILED naming pid and log of what did not end in time; STACK_BUSY
 */
export async function stopStack(folder: string, options: StopOptions = {}): Promise<void> {
  await exclusively(resolve(folder), (root) => stop(root, options.progress ?? noProgress));
}

/**
 * Stops the stack and deletes its data, settings and logs. Only what the stack wrote is deleted, so a mistyped folder is safe.
 *
 * @throws as `stopStack`
 */
export async function resetStack(folder: string, options: StopOptions = {}): Promise<void> {
  await exclusively(resolve(folder), async (root) => {
    await stop(root, options.progress ?? noProgress);
    if (await hasContainerStack(root)) {
      await stopContainerStack(root, true, options.progress ?? noProgress);
      await rm(join(root, 'logs'), { recursive: true, force: true });
    }
    const settings = await readSettings(root);
    if (settings === null) return;
    if (settings.postgresFolder === join(root, 'postgres') || basename(settings.postgresFolder).startsWith('legacy-cdc-bridge-data-')) {
      await rm(settings.postgresFolder, { recursive: true, force: true });
    }
    // pipeline.json: what a demo on this stack was configured with.
    await Promise.all(
      ['kafka', 'kafka-2', 'kafka-3', 'connect', 'mariadb', 'h2', 'registry', 'identity-provider', 'logs', 'pipeline.json'].map((name) =>
        rm(join(root, name), { recursive: true, force: true }),
      ),
    );
    await rm(settingsFile(root), { force: true });
  });
  await removeEmptyFolder(resolve(folder));
}

async function stop(folder: string, progress: Progress): Promise<void> {
  const state = await readStackState(folder);
  if (state === null) return;
  if (state.containers !== undefined) {
    await stopMains(folder, progress);
    await stopContainerStack(folder, false, progress);
    await removeStackState(folder);
    return;
  }
  const settings = await readSettings(folder);
  if (settings === null) throw new CdcError('STACK_FOLDER_INVALID', `${folder} has a stack.json, but no settings.json.`);
  await stopMains(folder, progress);
  await composeServers(
    stackServers(settings, { connect: true, mariadb: true, h2: true, registry: true, identityProvider: true }, { folder, progress }),
  ).down();
  await removeStackState(folder);
}

async function exclusively(folder: string, work: (folder: string) => Promise<void>): Promise<void> {
  if (!(await exists(folder))) return;
  // Not abortable: half a stop helps nobody, and each part has its limit.
  await withLock(join(folder, 'up-or-down.lock'), { signal: new AbortController().signal, waitMs: 0 }, () => work(folder));
}

async function removeEmptyFolder(folder: string): Promise<void> {
  try {
    if ((await readdir(folder)).length === 0) await rmdir(folder);
    // `.cdc`, when this was the last stack in it.
    if (basename(dirname(folder)) === '.cdc' && (await readdir(dirname(folder))).length === 0) await rmdir(dirname(folder));
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTEMPTY')) throw error;
  }
}
