import { setMaxListeners } from 'node:events';
import type { ClientConfig } from 'pg';
import { CdcError, pause } from '#pipeline/index.ts';
import { explainError, openClient } from '../connect.ts';
import type { Operation } from './operation.ts';
import { planWorkload } from './plan.ts';
import { loadRowPools, type RowPools } from './row-pools.ts';
import { countStart, createTally, summarise, type Tally, type WorkloadStatistics } from './statistics.ts';
import { openWriter, type Writer } from './writer.ts';

/** How long: for a time, or until so many operations are done however long they take. */
type WorkloadLength =
  | { readonly seconds: number; readonly operations?: undefined }
  | { readonly operations: number; readonly seconds?: undefined };

export type WorkloadOptions = WorkloadLength & {
  /** The application's role; needs DML on the four tables. */
  readonly application: ClientConfig;
  /** Operations per second (a burst is one operation of several transactions). Infinity: as fast as the writers can. */
  readonly rate: number;
  /** The same seed gives the same plan; with one writer on the same data also the same rows, but for their times. Default 1. */
  readonly seed?: number;
  /** Connections that work side by side. Default 8. */
  readonly writers?: number;
  /** Stops it early and in order; it then returns what it did. */
  readonly signal?: AbortSignal;
  /** About once a second. */
  readonly onProgress?: (progress: { readonly elapsedMs: number; readonly operations: number; readonly committed: number }) => void;
};

/** Operations may start this long after the time is over: those due at its very end are not lost to a timer's whim. */
const graceMs = 1000;

/**
 * Writes to the order system as an old application does, on a schedule that does not drift: when the writers cannot keep the rate, the
 * operations start late and are counted. When it returns or throws, its connections are closed and none of its transactions is open.
 *
 * @throws CdcError LEGACY_DB_EMPTY, LEGACY_TABLES_MISSING, LEGACY_PRIVILEGE_MISSING, and those of a connection
 */
export async function runWorkload(options: WorkloadOptions): Promise<WorkloadStatistics> {
  const { rate, seed = 1, writers: writerCount = 8 } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  setMaxListeners(0, signal);
  const application = { application_name: 'legacy-app', ...options.application };
  const tally = createTally();
  const pools = await loadPools(application);
  await using writers = new AsyncDisposableStack();
  const opened: Writer[] = [];
  for (let index = 0; index < writerCount; index += 1) {
    opened.push(writers.use(await openWriter(application, pools, tally, signal)));
  }

  const planned = options.operations ?? Math.round(rate * options.seconds);
  const plan = planWorkload({ seed, rate }).take(planned);
  const start = performance.now();
  const deadlineMs = options.seconds === undefined ? Infinity : options.seconds * 1000 + graceMs;
  const report = progressReporter(options, tally, start);
  const results = await Promise.allSettled(
    opened.map((writer) =>
      work(writer, plan, { start, deadlineMs, tally, signal, report }).catch((error: unknown) => {
        // One writer's failure ends the others in order too.
        stop.abort();
        throw error;
      }),
    ),
  );
  for (const result of results) if (result.status === 'rejected') throw explainError(result.reason, application);
  const aborted = signal.aborted;
  return summarise(tally, { seed, writers: writerCount, elapsedMs: performance.now() - start, aborted, planned });
}

type Run = {
  readonly start: number;
  readonly deadlineMs: number;
  readonly tally: Tally;
  readonly signal: AbortSignal;
  readonly report: () => void;
};

/** Takes one operation after the other off the common plan, each at its time. */
async function work(writer: Writer, plan: Iterator<Operation>, run: Run): Promise<void> {
  while (!run.signal.aborted) {
    const next = plan.next();
    if (next.done === true) return;
    const operation = next.value;
    const waitMs = run.start + operation.dueMs - performance.now();
    if (waitMs > 0) await pause(waitMs, run.signal);
    const now = performance.now() - run.start;
    if (run.signal.aborted || now > run.deadlineMs) return;
    countStart(run.tally, operation.kind, Math.max(0, now - operation.dueMs));
    await writer.perform(operation);
    run.report();
  }
}

async function loadPools(application: ClientConfig): Promise<RowPools> {
  await using client = await openClient(application);
  const pools = await loadRowPools(client).catch((error: unknown) => {
    throw explainError(error, application);
  });
  if (pools.customers.size > 0 && pools.products.size > 0) return pools;
  throw new CdcError('LEGACY_DB_EMPTY', `database ${application.database ?? ''} has no customers or no products to order`);
}

function progressReporter(options: WorkloadOptions, tally: Tally, start: number): () => void {
  let reportedAt = start;
  return () => {
    const now = performance.now();
    if (now - reportedAt < 1000) return;
    reportedAt = now;
    options.onProgress?.({ elapsedMs: now - start, operations: tally.started, committed: tally.committed });
  };
}
