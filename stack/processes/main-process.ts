import { join, resolve } from 'node:path';
import { CdcError } from '#pipeline/index.ts';
import { spawnDetached, stopRecorded } from './detached-process.ts';
import { startFailure } from './log-excerpt.ts';
import { isSameProcess } from './process-identity.ts';
import { noProgress, withElapsed, type Progress } from '../progress.ts';
import { dropRecord, findRecord, putRecord } from '../state/records.ts';
import { readStackState, type ProcessRecord } from '../state/state.ts';
import { formatSeconds, waitFor } from '../wait-for.ts';

const stopLimitMs = 30_000;

export type MainOptions = {
  /** Name in stack.json, in status and of the log file: "poller". */
  readonly name: string;
  /** Arguments of node: `['cli.ts', 'poller', 'start']`. */
  readonly args: readonly string[];
  /** On top of our own environment and the stack's variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** State folder of a running stack. */
  readonly folder: string;
  readonly cwd?: string;
  readonly progress?: Progress;
  readonly signal: AbortSignal;
  /** True once it does its work; absent: it counts as started when it runs. */
  readonly ready?: (signal: AbortSignal) => Promise<boolean>;
  /** For `ready`, in ms. Default 60 000. */
  readonly timeoutMs?: number;
};

export type MainProcess = {
  readonly name: string;
  readonly pid: number;
  readonly log: string;
  readonly isRunning: () => Promise<boolean>;
  /** SIGTERM, then waits until it has ended. */
  readonly stop: () => Promise<void>;
};

/**
 * Starts one of our own long-running programs on a stack, as a process that outlives this one, with its output in
 * `<folder>/logs/<name>.log`. `stopStack` stops it before the servers. One that runs already under this name is kept.
 *
 * @throws CdcError STACK_NOT_RUNNING; STACK_START_FAILED with the log's last lines when it ends before it is ready
 */
export async function startMain(options: MainOptions): Promise<MainProcess> {
  const { name, signal, progress = noProgress, timeoutMs = 60_000 } = options;
  const folder = resolve(options.folder);
  const started = performance.now();
  const record = await runningOrNew(folder, options);
  const main: MainProcess = {
    name,
    pid: record.pid,
    log: record.log,
    isRunning: () => isSameProcess(record),
    stop: () => stopMain(folder, name, progress),
  };
  const { ready } = options;
  if (ready === undefined) return main;
  try {
    const condition = async (): Promise<boolean> => {
      if (!(await main.isRunning())) {
        throw await startFailure(`${name} ended before it was ready`, record.log);
      }
      return ready(signal);
    };
    const describe = `${name} is ready (log: ${record.log})`;
    await withElapsed(progress, `waiting for ${name}`, () => waitFor(condition, { signal, timeoutMs, describe }));
  } catch (error) {
    await main.stop();
    throw error;
  }
  progress(`${name} is ready (${formatSeconds(performance.now() - started)})`);
  return main;
}

async function runningOrNew(folder: string, { name, args, env, cwd }: MainOptions): Promise<ProcessRecord> {
  const state = await readStackState(folder);
  if (state === null) throw new CdcError('STACK_NOT_RUNNING', `No stack runs in ${folder}, so ${name} cannot be started on it.`);
  const existing = await findRecord(folder, name);
  if (existing !== null && (await isSameProcess(existing))) return existing;
  const log = join(folder, 'logs', `${name}.log`);
  const launch = {
    command: process.execPath,
    args,
    cwd: cwd ?? process.cwd(),
    env: { ...definedOnly(process.env), ...state.environment, ...env },
  };
  const { pid, startedAt } = await spawnDetached(name, launch, log);
  const record: ProcessRecord = { name, pid, startedAt, log, kind: 'main' };
  try {
    await putRecord(folder, record);
  } catch (error) {
    await stopRecorded(record, { stopSignal: 'SIGTERM', limitMs: stopLimitMs, progress: noProgress });
    throw error;
  }
  return record;
}

/** Stops one main by name; nothing when it does not run. */
async function stopMain(folder: string, name: string, progress: Progress = noProgress): Promise<void> {
  const record = await findRecord(resolve(folder), name);
  if (record === null) return;
  const started = performance.now();
  const wasRunning = await isSameProcess(record);
  await stopRecorded(record, { stopSignal: 'SIGTERM', limitMs: stopLimitMs, progress });
  await dropRecord(resolve(folder), name);
  if (wasRunning) progress(`${name} is stopped (${formatSeconds(performance.now() - started)})`);
}

/** Stops all mains of a stack, at once. */
export async function stopMains(folder: string, progress: Progress): Promise<void> {
  const state = await readStackState(folder);
  const mains = state?.processes.filter(({ kind }) => kind === 'main') ?? [];
  const outcomes = await Promise.allSettled(mains.map(({ name }) => stopMain(folder, name, progress)));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function definedOnly(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
