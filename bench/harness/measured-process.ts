import { nodeFlags } from '#pipeline/index.ts';
import { once } from 'node:events';
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export type Usage = {
  /** From spawn to exit. */
  readonly wallSeconds: number;
  /** User and system, all threads, the start included. */
  readonly cpuSeconds: number;
  readonly peakRssMib: number;
};

export type MeasuredProcess = AsyncDisposable & {
  readonly child: ChildProcess;
  /** Resolves when it has ended with code 0; rejects with its standard error otherwise. */
  readonly ended: Promise<Usage>;
};

/** This checkout. */
const ownTree = join(import.meta.dirname, '../..');
/** BENCH_NODE_FLAGS adds flags (`--cpu-prof --cpu-prof-dir=…`). */
const flags = (process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');

/** Runs `cdc …` as users do, as a process of its own, from the checkout in `tree`. */
export function measureCdc(args: readonly string[], tree: string = ownTree): MeasuredProcess {
  const started = performance.now();
  const probe = join(import.meta.dirname, 'usage-probe.ts');
  const child = spawn(process.execPath, [...nodeFlags, ...flags, '--import', probe, 'cli.ts', ...args], {
    cwd: tree,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, LOG_LEVEL: 'warn' },
  });
  const ended = finish(child, started);
  ended.catch(() => undefined);
  return {
    child,
    ended,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

async function finish(child: ChildProcess, started: number): Promise<Usage> {
  const [, , errors, report] = child.stdio;
  if (!errors || !report || !('readable' in errors) || !('readable' in report)) throw new TypeError('a measured process without pipes');
  const [problems, usage, [code]] = await Promise.all([text(errors), text(report), once(child, 'exit')]);
  const wallSeconds = (performance.now() - started) / 1000;
  if (code !== 0 && code !== 130) throw new Error(`the measured process ended with ${String(code)}:\n${problems}`);
  const read: unknown = JSON.parse(usage);
  if (typeof read !== 'object' || read === null || !('cpuMicros' in read) || !('maxRssKib' in read)) throw new TypeError(usage);
  return { wallSeconds, cpuSeconds: Number(read.cpuMicros) / 1e6, peakRssMib: Number(read.maxRssKib) / 1024 };
}
