import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, rename } from 'node:fs/promises';
import { CdcError, describeError } from '#pipeline/index.ts';
import { hasCode } from '../state/file.ts';
import { startFailure } from './log-excerpt.ts';
import { isSameProcess, processIdentity } from './process-identity.ts';
import { withElapsed, type Progress } from '../progress.ts';
import type { ProcessRecord } from '../state/state.ts';
import { formatSeconds, waitFor } from '../wait-for.ts';

/** How to run a program. */
export type Launch = {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Another user to run it as (root only). */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
};

/** A process in a group of its own that outlives this one; a terminal's Ctrl-C does not reach it. */
export type DetachedProcess = { readonly pid: number; readonly startedAt: string };

/**
 * Starts a program with its output in `log` (the log of the run before is kept as `<log>.previous`).
 *
 * @throws CdcError STACK_START_FAILED when it cannot be run or ends at once
 */
export async function spawnDetached(name: string, launch: Launch, log: string): Promise<DetachedProcess> {
  await rename(log, `${log}.previous`).catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT')) throw error;
  });
  const output = await open(log, 'w', 0o644);
  try {
    const child = spawn(launch.command, launch.args, {
      cwd: launch.cwd,
      env: launch.env,
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      ...launch.user,
    });
    await once(child, 'spawn');
    child.unref();
    const pid = child.pid;
    const startedAt = pid === undefined ? null : await processIdentity(pid);
    if (pid === undefined || startedAt === null) {
      throw await startFailure(`${name} ended as soon as it was started`, log);
    }
    return { pid, startedAt };
  } catch (error) {
    if (error instanceof CdcError) throw error;
    throw new CdcError('STACK_START_FAILED', `${name} could not be started (${launch.command}): ${describeError(error)}.`, {
      cause: error,
    });
  } finally {
    await output.close();
  }
}

/**
 * Asks a recorded process to end and waits until it has. Does nothing when it is gone or its pid now belongs to another. Never
 * SIGKILL: what does not end in time is reported.
 *
 * @throws CdcError STACK_STOP_FAILED naming pid and log
 */
export async function stopRecorded(
  record: ProcessRecord,
  options: { readonly stopSignal: 'SIGTERM' | 'SIGINT'; readonly limitMs: number; readonly progress: Progress },
): Promise<void> {
  if (!(await isSameProcess(record))) return;
  const { stopSignal, limitMs, progress } = options;
  try {
    process.kill(record.pid, stopSignal);
    const gone = async (): Promise<boolean> => !(await isSameProcess(record));
    await withElapsed(progress, `waiting for ${record.name} to stop`, () =>
      // Not the caller's signal: an abort is a reason to stop processes, not to leave them.
      waitFor(gone, { signal: new AbortController().signal, timeoutMs: limitMs, describe: record.name, intervalMs: 20 }),
    );
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return;
    throw new CdcError(
      'STACK_STOP_FAILED',
      `${record.name} (pid ${record.pid}) did not end within ${formatSeconds(limitMs)} of ${stopSignal}; its log is ${record.log}.`,
      { cause: error },
    );
  }
}
