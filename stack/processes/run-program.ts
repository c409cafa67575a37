import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';

export type ProgramOptions = {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Ends the program (SIGTERM). */
  readonly signal: AbortSignal;
  readonly uid?: number;
  readonly gid?: number;
  /** A file that it reads as its standard input. */
  readonly input?: string;
  /** Each line of its output, as it comes. */
  readonly onLine?: (line: string) => void;
};

/**
 * Runs a program to its end and gives its exit code and the last lines of what it wrote. Also when aborted it resolves or rejects only
 * once the program is gone, so that its files may be removed.
 *
 * @throws the error of spawn (ENOENT where there is no such program); the signal's reason when aborted
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<{ readonly code: number | null; readonly lines: readonly string[] }> {
  const { onLine, signal, input, ...rest } = options;
  signal.throwIfAborted();
  const lines: string[] = [];
  const file = input === undefined ? null : await open(input);
  const child = spawn(command, args, { ...rest, stdio: [file?.fd ?? 'ignore', 'pipe', 'pipe'] });
  const failures: Error[] = [];
  child.on('error', (error) => failures.push(error));
  for (const output of [child.stdout, child.stderr].filter((stream) => stream !== null)) {
    createInterface({ input: output }).on('line', (line) => {
      onLine?.(line);
      lines.push(line);
      if (lines.length > 200) lines.shift();
    });
  }
  const stop = (): boolean => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const code = await new Promise<number | null>((resolve) => {
    child.on('close', resolve);
  });
  signal.removeEventListener('abort', stop);
  await file?.close();
  signal.throwIfAborted();
  if (failures[0] !== undefined) throw failures[0];
  return { code, lines };
}
