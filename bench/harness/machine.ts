import { cpus, loadavg, release, totalmem } from 'node:os';

/** What figures depend on and a reader cannot see from them. */
export function describeMachine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.versions.node}`;
}

/** The load average of the last minute: above the number of cores, others were at work too. */
export function describeLoad(): string {
  return (loadavg()[0] ?? 0).toFixed(1);
}
