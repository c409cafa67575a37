import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CdcError } from '#pipeline/index.ts';
import { writeSecretFile } from './file.ts';
import { withLock } from './lock.ts';
import { readStackState, type ProcessRecord, type StackState } from './state.ts';

/** Where the stack in `folder` keeps its state while it runs. */
export function stateFile(folder: string): string {
  return join(folder, 'stack.json');
}

export async function writeStackState(folder: string, state: StackState): Promise<void> {
  await writeSecretFile(stateFile(folder), `${JSON.stringify(state, null, 2)}\n`);
}

export async function removeStackState(folder: string): Promise<void> {
  await rm(stateFile(folder), { force: true });
}

/** The record of a process by name, or null. */
export async function findRecord(folder: string, name: string): Promise<ProcessRecord | null> {
  const state = await readStackState(folder);
  return state?.processes.find((record) => record.name === name) ?? null;
}

/** Records a process in stack.json, in place of an earlier one of that name. */
export async function putRecord(folder: string, record: ProcessRecord): Promise<void> {
  await updateProcesses(folder, (processes) => [...processes.filter(({ name }) => name !== record.name), record]);
}

export async function dropRecord(folder: string, name: string): Promise<void> {
  await updateProcesses(folder, (processes) => processes.filter((record) => record.name !== name));
}

/** Several servers start at once, and `startMain` may run in another process: each change is made under a lock. */
async function updateProcesses(folder: string, change: (processes: ProcessRecord[]) => ProcessRecord[]): Promise<void> {
  await withLock(join(folder, 'stack.json.lock'), { signal: new AbortController().signal, waitMs: 30_000 }, async () => {
    const state = await readStackState(folder);
    if (state === null) throw new CdcError('STACK_NOT_RUNNING', `No stack runs in ${folder}.`);
    await writeStackState(folder, { ...state, processes: change(state.processes) });
  });
}
