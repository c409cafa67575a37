import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * What identifies a process, among others from a later one with the same pid: its start time as the kernel keeps it (with the boot's id on Linux, where
 * the time counts from the boot). Null when there is no such process, or only its remains (a zombie).
 */
export function processIdentity(pid: number): Promise<string | null> {
  return process.platform === 'linux' ? linuxIdentity(pid) : psIdentity(pid);
}

/** True when the process that was recorded still runs; false for another one that has got its pid. */
export async function isSameProcess(recorded: { readonly pid: number; readonly startedAt: string }): Promise<boolean> {
  return (await processIdentity(recorded.pid)) === recorded.startedAt;
}

let bootId: Promise<string> | undefined;

async function linuxIdentity(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (text === null) return null;
  const parsed = parseProcStat(text);
  if (parsed === null || parsed.state === 'Z' || parsed.state === 'X') return null;
  bootId ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then((id) => id.trim());
  return `${await bootId}/${parsed.startTicks}`;
}

/** State and start time from /proc/PID/stat; the command in it may itself hold spaces and brackets. */
export function parseProcStat(text: string): { readonly state: string; readonly startTicks: string } | null {
  const fields = text
    .slice(text.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/);
  const state = fields[0];
  const startTicks = fields[19];
  return state === undefined || startTicks === undefined ? null : { state, startTicks };
}

async function psIdentity(pid: number): Promise<string | null> {
  try {
    const { stdout } = await run('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { env: { ...process.env, LC_ALL: 'C' } });
    const match = /^\s*(\S+)\s+(.+?)\s*$/.exec(stdout);
    const started = match?.[2];
    return started === undefined || match?.[1]?.startsWith('Z') === true ? null : started;
  } catch {
    return null;
  }
}
