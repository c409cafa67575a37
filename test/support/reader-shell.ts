import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** The terminals of somebody who follows a page, in one folder. */
export type ReaderShell = AsyncDisposable & {
  /** Runs commands to their end. */
  readonly run: (commands: string) => { readonly exitCode: number | null; readonly output: string };
  /** Starts commands that go on running, in a terminal of that name. */
  readonly start: (name: string, commands: string) => void;
  /** What a terminal has shown since `start`; both streams, as a terminal has them. */
  readonly shown: (name: string) => string;
  /** Ctrl-C, and waits for the end. */
  readonly stop: (name: string) => Promise<void>;
};

type Terminal = { readonly process: ChildProcess; output: string };

/** `before` is run before the commands of each block: the variables that the reader has loaded. */
export function readerShell(folder: string, before: string): ReaderShell {
  const terminals = new Map<string, Terminal>();
  const { NODE_OPTIONS: _flags, NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const script = (commands: string): readonly string[] => ['-c', `set -e\n${before}\n${commands}`];
  const terminal = (name: string): Terminal => {
    const found = terminals.get(name);
    assert.ok(found, `nothing was started as ${name}`);
    return found;
  };
  const interrupt = async ({ process: { pid, exitCode, signalCode }, process: child }: Terminal): Promise<void> => {
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const ended = once(child, 'exit');
    // As a terminal does it: to all of its processes.
    process.kill(-pid, 'SIGINT');
    await ended;
  };
  return {
    run(commands) {
      const { status, stdout, stderr } = spawnSync('bash', script(commands), { cwd: folder, env, encoding: 'utf8' });
      return { exitCode: status, output: `${stdout}\n${stderr}` };
    },
    start(name, commands) {
      const child = spawn('bash', script(commands), { cwd: folder, env, detached: true });
      const started: Terminal = { process: child, output: '' };
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          started.output += text;
        });
      }
      terminals.set(name, started);
    },
    shown: (name) => terminal(name).output,
    stop: (name) => interrupt(terminal(name)),
    async [Symbol.asyncDispose]() {
      for (const one of terminals.values()) await interrupt(one);
    },
  };
}
