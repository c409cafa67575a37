import { cpus } from 'node:os';

/** Time that this host's processors have had, and spent idle, since it was started, in ms over all of them. */
export type ProcessorSample = { readonly totalMs: number; readonly idleMs: number };

/** How a run's seconds went on this host's processors. */
export type Saturation = { readonly processors: number; readonly spans: number; readonly saturated: number };

/** Looks at the processors until it is disposed. */
export type ProcessorWatch = Disposable & { soFar(): Saturation };

const spanMs = 1000;
/** With less of a span left over, whoever had something to do waited for others. */
const idleShare = 0.05;
/** Of 20 spans one may be full, as by a collection of garbage: 95% of what was measured lies in the others. */
const saturatedShare = 0.05;

/** Whether the processors had nothing left between two looks. */
export function isSaturated(before: ProcessorSample, after: ProcessorSample): boolean {
  const total = after.totalMs - before.totalMs;
  return total > 0 && after.idleMs - before.idleMs < idleShare * total;
}

/**
 * Why figures of this run say more of the machine than of what was measured on it; null when they do not. A limit that is kept all the same is kept; one that
 * is not may have been missed for want of processors alone.
 */
export function whySaturated({ processors, spans, saturated }: Saturation): string | null {
  if (saturated <= saturatedShare * spans) return null;
  return `the ${processors} processors of this machine were saturated in ${saturated} of ${spans} s, so that everything waited for them`;
}

export function watchProcessors(sample: () => ProcessorSample = readProcessors): ProcessorWatch {
  let before = sample();
  let spans = 0;
  let saturated = 0;
  const timer = setInterval(() => {
    const after = sample();
    spans += 1;
    if (isSaturated(before, after)) saturated += 1;
    before = after;
  }, spanMs).unref();
  return {
    soFar: () => ({ processors: cpus().length, spans, saturated }),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function readProcessors(): ProcessorSample {
  let [totalMs, idleMs] = [0, 0];
  for (const { times } of cpus()) {
    totalMs += times.user + times.nice + times.sys + times.idle + times.irq;
    idleMs += times.idle;
  }
  return { totalMs, idleMs };
}
