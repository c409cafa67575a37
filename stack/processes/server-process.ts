import { join } from 'node:path';
import { CdcError, describeError } from '#pipeline/index.ts';
import { spawnDetached, stopRecorded, type Launch } from './detached-process.ts';
import { startFailure } from './log-excerpt.ts';
import { isSameProcess } from './process-identity.ts';
import { withElapsed, type Progress } from '../progress.ts';
import { dropRecord, findRecord, putRecord } from '../state/records.ts';
import type { Resource } from '../resource.ts';
import type { ProcessRecord } from '../state/state.ts';
import { formatSeconds, waitFor } from '../wait-for.ts';

/** A server that runs as a process of the stack. */
export type ServerSpec = {
  readonly name: string;
  /** host:port or URL, for status. */
  readonly address: string;
  /** Makes folders and files where they are missing, and says how to run it. */
  readonly launch: (signal: AbortSignal) => Promise<Launch>;
  /** True once it serves. False for as long as it is only starting. */
  readonly ready: (signal: AbortSignal) => Promise<boolean>;
  /** Done each time it has become ready; must be repeatable. */
  readonly configure?: (signal: AbortSignal) => Promise<void>;
  readonly stopSignal: 'SIGTERM' | 'SIGINT';
  readonly startLimitMs: number;
  readonly stopLimitMs: number;
};

/** The stack that a server belongs to. */
export type StackRuntime = { readonly folder: string; readonly progress: Progress };

/** The server as a resource; stack.json says which process it is, so that `down` works from any process. */
export function serverProcess(spec: ServerSpec, runtime: StackRuntime): Resource {
  const { folder, progress } = runtime;
  const log = join(folder, 'logs', `${spec.name}.log`);

  const down = async (): Promise<void> => {
    const record = await findRecord(folder, spec.name);
    if (record === null) return;
    const started = performance.now();
    const wasRunning = await isSameProcess(record);
    await stopRecorded(record, { stopSignal: spec.stopSignal, limitMs: spec.stopLimitMs, progress });
    await dropRecord(folder, spec.name);
    if (wasRunning) progress(`${spec.name} is stopped (${formatSeconds(performance.now() - started)})`);
  };

  const up = async (signal: AbortSignal): Promise<void> => {
    const started = performance.now();
    try {
      const launch = await spec.launch(signal);
      signal.throwIfAborted();
      const running = await runningRecord(folder, spec.name);
      const record = running ?? (await start(launch));
      await withElapsed(progress, `waiting for ${spec.name}`, () => untilReady(record, signal));
      await spec.configure?.(signal);
    } catch (error) {
      await down();
      throw error;
    }
    progress(`${spec.name} is up at ${spec.address} (${formatSeconds(performance.now() - started)})`);
  };

  const start = async (launch: Launch): Promise<ProcessRecord> => {
    const { pid, startedAt } = await spawnDetached(spec.name, launch, log);
    const record: ProcessRecord = { name: spec.name, pid, startedAt, log, kind: 'server', address: spec.address };
    try {
      await putRecord(folder, record);
    } catch (error) {
      // A process that is recorded nowhere would never be stopped.
      await stopRecorded(record, { stopSignal: spec.stopSignal, limitMs: spec.stopLimitMs, progress });
      throw error;
    }
    return record;
  };

  const untilReady = async (record: ProcessRecord, signal: AbortSignal): Promise<void> => {
    try {
      await waitFor(
        async () => {
          if (!(await isSameProcess(record))) throw await startFailure(`${spec.name} ended before it was ready`, log);
          return spec.ready(signal);
        },
        { signal, timeoutMs: spec.startLimitMs, describe: spec.name },
      );
    } catch (error) {
      if (!(error instanceof CdcError && error.code === 'WAIT_TIMEOUT')) throw error;
      throw await startFailure(`${spec.name} did not become ready within ${formatSeconds(spec.startLimitMs)}`, log);
    }
  };

  const healthCheck: Resource['healthCheck'] = async () => {
    if ((await runningRecord(folder, spec.name)) === null) return { healthy: false, detail: 'not running' };
    try {
      const answers = await spec.ready(AbortSignal.timeout(5000));
      return answers ? { healthy: true } : { healthy: false, detail: `does not answer at ${spec.address}` };
    } catch (error) {
      return { healthy: false, detail: describeError(error) };
    }
  };

  return { name: spec.name, up, down, healthCheck };
}

async function runningRecord(folder: string, name: string): Promise<ProcessRecord | null> {
  const record = await findRecord(folder, name);
  return record !== null && (await isSameProcess(record)) ? record : null;
}
