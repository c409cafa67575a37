import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resetStack, startStack, waitFor, type StackState } from '#stack/index.ts';
import { isAlive } from './is-alive.ts';

/** Servers of a test file's own, because it stops them. */
export type OwnStack = AsyncDisposable & {
  readonly folder: string;
  /** As they run since the last start. */
  readonly state: () => StackState;
  /** Of a server that runs. */
  readonly pid: (server: string) => number;
  /** Ends one server and resolves when its process has ended. */
  readonly end: (server: string, signal: NodeJS.Signals) => Promise<void>;
  /** Starts what does not run. */
  readonly restart: () => Promise<void>;
};

export async function startOwnStack({ connect = true }: { readonly connect?: boolean } = {}): Promise<OwnStack> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-own-stack-'));
  const start = (): Promise<StackState> => startStack({ folder, connect, throwaway: true, signal: AbortSignal.timeout(120_000) });
  let state = await start();
  const pid = (name: string): number => {
    const server = state.processes.find((each) => each.name === name);
    assert.ok(server, name);
    return server.pid;
  };
  return {
    folder,
    state: () => state,
    pid,
    async end(name, signal) {
      const ended = pid(name);
      process.kill(ended, signal);
      const limit = { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000 };
      await waitFor(async () => !isAlive(ended), { ...limit, describe: `${name} has ended` });
    },
    async restart() {
      state = await start();
    },
    async [Symbol.asyncDispose]() {
      await resetStack(folder);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
