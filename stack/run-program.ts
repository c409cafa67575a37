import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export type ProgramOptions = {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Ends the program (SIGTERM). */
  readonly signal: AbortSignal;
  readonly uid?: number;
  readonly gid?: number;
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
  const { onLine, signal, ...rest } = options;
  signal.throwIfAborted();
  const lines: string[] = [];
  const child = spawn(command, args, { ...rest, stdio: ['ignore', 'pipe', 'pipe'] });
  const failures: Error[] = [];
  child.on('error', (error) => failures.push(error));
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
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
  signal.throwIfAborted();
  if (failures[0] !== undefined) throw failures[0];
  return { code, lines };
}
