import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resetStack, startStack, waitFor, type StackState } from '#stack/index.ts';

/** Servers of a test file's own, because it stops them. */
export type OwnStack = AsyncDisposable & {
  readonly folder: string;
  /** As they run since the last start. */
  readonly state: () => StackState;
  /** Ends one server and resolves when its process has ended. */
  readonly end: (server: string, signal: NodeJS.Signals) => Promise<void>;
  /** Starts what does not run. */
  readonly restart: () => Promise<void>;
};

export async function startOwnStack({ connect = true }: { readonly connect?: boolean } = {}): Promise<OwnStack> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-own-stack-'));
  const start = (): Promise<StackState> => startStack({ folder, connect, throwaway: true, signal: AbortSignal.timeout(120_000) });
  let state = await start();
  return {
    folder,
    state: () => state,
    async end(name, signal) {
      const server = state.processes.find((each) => each.name === name);
      assert.ok(server, name);
      process.kill(server.pid, signal);
      const limit = { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000 };
      await waitFor(async () => !isAlive(server.pid), { ...limit, describe: `${name} has ended` });
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

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
