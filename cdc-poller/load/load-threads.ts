import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { atMost } from '#pipeline/index.ts';
import type { FromThread, LoadedPage, PageTask, ThreadSetup, ToThread } from './messages.ts';

/** Threads that read and encode pages of one table. */
export type LoadThreads = AsyncDisposable & {
  readonly threads: number;
  /** Reads a page by the thread with the least to do. @throws Error when a thread has failed: then all that was asked for has */
  read(task: PageTask): Promise<LoadedPage>;
  /** Gives back the memory of a page whose records are sent. */
  sent(page: LoadedPage): void;
};

/** What starts the threads of a table's load. */
export type LoadThreadStarter = {
  /** Null where another table of the process has them. @throws Error when one cannot begin */
  start(state: string): Promise<LoadThreads> | null;
  /** Called with the rows of each page that a thread has read. */
  readonly onRead: (rows: number) => void;
};

/** How many threads load a table where nothing is configured: one by itself on up to three processors. */
export function defaultLoadWorkers(processors: number = availableParallelism()): number {
  return Math.min(4, Math.max(1, Math.floor(processors / 2)));
}

/** One table at a time has threads: they and their connections stay as many as were asked for, however many tables are loaded. */
export type LoadThreadsPlace = { taken: boolean };

/** @param threads as many connections to the database */
export function loadThreadStarter(
  setup: Omit<ThreadSetup, 'state'>,
  threads: number,
  place: LoadThreadsPlace,
  onRead: (rows: number) => void,
): LoadThreadStarter | null {
  if (threads < 2) return null;
  return {
    onRead,
    start(state) {
      if (place.taken) return null;
      place.taken = true;
      return startThreads({ ...setup, state }, threads, () => {
        place.taken = false;
      });
    },
  };
}

/** An orderly end has to wait for the pages that are being read. */
const endGraceMs = 5000;

type Asked = { readonly resolve: (page: LoadedPage) => void; readonly reject: (error: Error) => void };
type Thread = { readonly worker: Worker; readonly asked: Map<number, Asked>; readonly exited: Promise<void> };

async function startThreads(setup: ThreadSetup, count: number, onEnd: () => void): Promise<LoadThreads> {
  let failure: Error | null = null;
  let nextId = 0;
  const owners = new WeakMap<LoadedPage, Thread>();
  const fail = (reason: string): void => {
    failure ??= new Error(reason);
    for (const { asked } of threads) {
      for (const { reject } of asked.values()) reject(failure);
      asked.clear();
    }
  };
  const begun: Promise<void>[] = [];
  const threads = Array.from({ length: count }, (): Thread => {
    const worker = new Worker(threadFile, { workerData: setup, name: 'load' });
    const ready = Promise.withResolvers<void>();
    const exited = Promise.withResolvers<void>();
    begun.push(ready.promise);
    const thread: Thread = { worker, asked: new Map(), exited: exited.promise };
    const failed = (reason: string): void => {
      ready.reject(new Error(reason));
      fail(reason);
    };
    worker.on('message', (message: FromThread) => {
      if (message.kind === 'ready') return ready.resolve();
      if (message.kind === 'failed') return failed(message.reason);
      owners.set(message.page, thread);
      thread.asked.get(message.id)?.resolve(message.page);
      thread.asked.delete(message.id);
    });
    worker.on('error', (error) => failed(error.message));
    worker.on('exit', () => {
      failed('a thread of the load ended');
      exited.resolve();
    });
    return thread;
  });
  const end = async (): Promise<void> => {
    await Promise.all(
      threads.map(async ({ worker, exited }) => {
        post(worker, { kind: 'end' });
        await atMost(endGraceMs, exited);
        await worker.terminate();
      }),
    );
    onEnd();
  };
  try {
    await Promise.all(begun);
  } catch (error) {
    await Promise.allSettled(begun);
    await end();
    throw error;
  }
  return {
    threads: count,
    async read(task) {
      if (failure !== null) throw failure;
      const [thread] = threads.toSorted((a, b) => a.asked.size - b.asked.size);
      if (thread === undefined) throw new RangeError('no threads');
      const id = nextId;
      nextId += 1;
      const { promise, resolve, reject } = Promise.withResolvers<LoadedPage>();
      thread.asked.set(id, { resolve, reject });
      post(thread.worker, { kind: 'page', id, task });
      return await promise;
    },
    sent(page) {
      const memory = page.batches.map((batch) => batch.memory);
      const thread = owners.get(page);
      if (thread !== undefined) post(thread.worker, { kind: 'sent', memory }, memory);
    },
    [Symbol.asyncDispose]: end,
  };
}

/** Compiled in the package. */
const threadFile = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);

function post(worker: Worker, message: ToThread, memory: readonly ArrayBuffer[] = []): void {
  worker.postMessage(message, [...memory]);
}
