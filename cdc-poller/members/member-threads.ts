import { Worker } from 'node:worker_threads';
import { atMost, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { defaultLoadWorkers } from '../load/load-threads.ts';
import type { ProcessFigures } from '../metrics/prometheus.ts';
import type { MonitorListener } from '../metrics/table-monitor.ts';
import type { PollerContext } from '../supervisor/context.ts';
import type { TableOffer } from './member.ts';
import { receivedError, sentError, type FromMember, type MemberSetup, type ToMember } from './messages.ts';

/** A thread that polls, as the main thread sees it. */
export type MemberThread = AsyncDisposable & {
  readonly number: number;
  /** As Member.offer; `refused` goes along. @throws also what ended the thread */
  offer(offer: TableOffer, refused: PollerContext['refused']): Promise<void>;
  /** Null when it does not answer for two seconds. */
  figures(): Promise<ProcessFigures | null>;
  /** Rejects with what ended it before it was to end; never resolves. */
  readonly failed: Promise<never>;
};

/** How long a thread may take to say how it is, in ms. */
const answerMs = 2000;

/** The configuration of one of `poller.threads` threads: the threads of loads are shared among them. */
export function configOfThread(config: PipelineConfig): PipelineConfig {
  const { poller } = config;
  if (poller === undefined || poller.threads === 1) return config;
  const loadWorkers = Math.max(1, Math.floor((poller.loadWorkers ?? defaultLoadWorkers()) / poller.threads));
  return { ...config, poller: { ...poller, loadWorkers, http: undefined } };
}

/** Starts a thread that polls. It ends in order when `signal` is aborted, or when it is disposed. */
export function startMemberThread(
  number: number,
  { config, logger, signal }: { readonly config: PipelineConfig; readonly logger: Logger; readonly signal: AbortSignal },
  listener: MonitorListener | null,
): MemberThread {
  const { name } = logger.bindings();
  const setup: MemberSetup = {
    config,
    number,
    timesPolls: listener !== null,
    logger: { name: typeof name === 'string' ? name : 'cdc', level: logger.level },
  };
  const worker = new Worker(threadFile, { workerData: setup, name: `poller ${number}` });
  const post = (message: ToMember): void => worker.postMessage(message, []);
  const offers = new Map<number, PromiseWithResolvers<void>>();
  const asked = new Map<number, PromiseWithResolvers<ProcessFigures | null>>();
  const failed = Promise.withResolvers<never>();
  const exited = Promise.withResolvers<void>();
  failed.promise.catch(() => undefined);
  let nextId = 0;
  let ending = false;
  let gone: Error | null = null;
  const fail = (error: Error): void => {
    gone ??= error;
    if (!ending) failed.reject(gone);
    for (const { reject } of offers.values()) reject(gone);
    offers.clear();
  };
  worker.on('message', (message: FromMember) => {
    switch (message.kind) {
      case 'polled':
        listener?.polled(message.table, message.seconds);
        return;
      case 'figures':
        asked.get(message.id)?.resolve(message.figures);
        asked.delete(message.id);
        return;
      case 'offered':
        if (message.error === null) offers.get(message.id)?.resolve();
        else offers.get(message.id)?.reject(receivedError(message.error));
        offers.delete(message.id);
        return;
      case 'failed':
        fail(receivedError(message.error));
    }
  });
  worker.on('error', fail);
  worker.on('exit', () => {
    fail(new Error(`thread ${number} of the poller ended`));
    exited.resolve();
  });
  const end = (): void => {
    if (ending) return;
    ending = true;
    post({ kind: 'end' });
  };
  signal.addEventListener('abort', end, { once: true });
  return {
    number,
    failed: failed.promise,
    async offer({ tables, slots }, refused) {
      if (gone !== null) throw gone;
      const id = nextId++;
      const answer = Promise.withResolvers<void>();
      offers.set(id, answer);
      post({ kind: 'offer', id, tables, slots, refused: new Map(Array.from(refused, ([table, error]) => [table, sentError(error)])) });
      await answer.promise;
    },
    async figures() {
      const id = nextId++;
      const answer = Promise.withResolvers<ProcessFigures | null>();
      asked.set(id, answer);
      post({ kind: 'figures', id });
      await atMost(answerMs, answer.promise);
      asked.delete(id);
      answer.resolve(null);
      return await answer.promise;
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener('abort', end);
      end();
      await exited.promise;
    },
  };
}

/** Compiled in the package. */
const threadFile = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);
