import { readdir, readFile } from 'node:fs/promises';

/** The kernel's clock tick, which /proc counts in. */
const ticksPerSecond = 100;

/** What the program's processes have taken so far. */
export type Usage = { readonly cpuSeconds: number; readonly peakRssMib: number };

/** The usage of one process, all threads. */
export async function usageOf(pid: number): Promise<Usage> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const peak = /VmHWM:\s+(\d+)/.exec(status)?.[1];
  const { own } = await times(pid);
  return { cpuSeconds: own / ticksPerSecond, peakRssMib: Number(peak ?? 0) / 1024 };
}

/** CPU seconds of a server and its processes, those that ended included. */
export async function cpuOfServer(pid: number): Promise<number> {
  const { own, ended } = await times(pid);
  let ticks = own + ended;
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // A process may end while /proc is read.
    const child = await times(Number(name)).catch(() => null);
    if (child?.parent === pid) ticks += child.own + child.ended;
  }
  return ticks / ticksPerSecond;
}

async function times(pid: number): Promise<{ readonly parent: number; readonly own: number; readonly ended: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = (index: number): number => Number(fields[index] ?? 0);
  return { parent: ticks(1), own: ticks(11) + ticks(12), ended: ticks(13) + ticks(14) };
}
