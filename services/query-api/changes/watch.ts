import { createHash, randomUUID } from 'node:crypto';
import { describeError, pause, type Logger } from '#pipeline/index.ts';
import { formatPosition } from '#read-model/index.ts';
import type { Positions } from '../freshness/follow-positions.ts';
import type { Applied } from '../model/readings.ts';

/** The rows of a list as they are now: each with the JSON of its key and its own, and how far they are applied. Null: the table is gone. */
export type Listed = { readonly rows: readonly ListedRow[]; readonly applied: Applied };
type ListedRow = { readonly key: string; readonly json: string };

/** What a client is told of a row. `row`: new, or another than before. `gone`: not in the list any more. */
export type Change = {
  /** Empty in a whole list: only its end may be gone on from. */
  readonly id: string;
  readonly event: 'row' | 'gone';
  readonly data: string;
};

/** Told at once, so that nothing comes between: the changes, and up to where all is told with them. */
export type News = {
  /** Forget what was told before: this is the whole list. */
  readonly whole: boolean;
  readonly changes: readonly Change[];
  readonly applied: Applied;
  /** To be gone on from. */
  readonly id: string;
};

export type Listener = {
  tell(news: News): void;
  /** The list cannot be read: what was told may be old. News come when it can be read again, though nothing may have changed. */
  away(): void;
  /** The table is gone, or the watch ends. */
  end(): void;
};

/** One list that is watched for any number of clients. */
export type Watch = AsyncDisposable & {
  /** From the change after `lastId` on, if that is remembered; else from the whole list on. */
  join(listener: Listener, lastId: string | null): Disposable;
  readonly listeners: number;
};

export type WatchOptions = {
  readonly list: () => Promise<Listed | null>;
  readonly topics: readonly string[];
  readonly positions: Positions;
  readonly logger: Logger;
  /** Called when the last client has gone for `lingerMs`. */
  readonly onIdle: () => void;
};

/** What is remembered for clients that come again. */
const changesMost = 1000;
const bytesMost = 2 ** 20;
const lingerMs = 60_000;
/** Rows may change without a position: a parked event is applied, a view is made again. */
const lookAnywayMs = 5000;
const quietMs = 50;

/**
 * Watches a list: whenever a topic of its table has moved on, it is read again and compared with what it was, by a hash for each row. So a client sees each
 * state that lasts, and of several changes between two looks the last; memory is a hash a row and the last changes.
 */
export function watchList(options: WatchOptions): Watch {
  const { list, topics, positions, logger, onIdle } = options;
  const ended = new AbortController();
  const own = randomUUID().slice(0, 8);
  /** Whether each has been told the list. */
  const listeners = new Map<Listener, boolean>();
  const log: Change[] = [];
  let bytes = 0;
  let next = 1;
  let known: ReadonlyMap<string, string> | null = null;
  let latest: Applied | null = null;
  let moved = '';
  let isAway = false;
  let wake = Promise.withResolvers<void>();
  let idle: NodeJS.Timeout | undefined;
  const following = positions.follow((applied) => {
    const now = applied === null ? '' : `${applied.fingerprint} ${topics.map((topic) => partOf(applied, topic)).join(' ')}`;
    if (now === moved) return;
    moved = now;
    wake.resolve();
  });
  const note = (event: Change['event'], data: string): Change => {
    const change = { id: `${own}-${next}`, event, data };
    next += 1;
    log.push(change);
    bytes += data.length;
    while (log.length > changesMost || bytes > bytesMost) bytes -= log.shift()?.data.length ?? 0;
    return change;
  };
  const look = async (): Promise<void> => {
    const found = await list();
    if (found === null) {
      for (const listener of listeners.keys()) listener.end();
      ended.abort();
      return;
    }
    const now = new Map(found.rows.map(({ key, json }) => [key, hash(json)]));
    const changes = known === null ? [] : changesBetween(known, now, found.rows, note);
    const comesBack = isAway;
    isAway = false;
    known = now;
    latest = found.applied;
    const news = { applied: found.applied, id: `${own}-${next - 1}` };
    for (const [listener, told] of listeners) {
      if (!told) listener.tell({ whole: true, changes: wholeOf(found), ...news });
      else if (changes.length > 0 || comesBack) listener.tell({ whole: false, changes, ...news });
      listeners.set(listener, true);
    }
  };
  const run = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const woken = wake.promise;
      try {
        await look();
      } catch (error) {
        logger.debug({ reason: describeError(error) }, 'a watched list cannot be read for now');
        if (!isAway) for (const listener of listeners.keys()) listener.away();
        isAway = true;
      }
      await pause(quietMs, ended.signal);
      await Promise.race([woken, pause(lookAnywayMs, ended.signal)]);
      wake = Promise.withResolvers<void>();
    }
  };
  const running = run();
  return {
    get listeners() {
      return listeners.size;
    },
    join(listener, lastId) {
      clearTimeout(idle);
      const missed = latest === null ? null : missedSince(log, own, next, lastId);
      listeners.set(listener, missed !== null);
      if (missed === null || latest === null) wake.resolve();
      else listener.tell({ whole: false, changes: missed, applied: latest, id: `${own}-${next - 1}` });
      if (isAway) listener.away();
      return {
        [Symbol.dispose]() {
          listeners.delete(listener);
          if (listeners.size > 0) return;
          clearTimeout(idle);
          idle = setTimeout(onIdle, lingerMs);
          idle.unref();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(idle);
      following[Symbol.dispose]();
      ended.abort();
      for (const listener of listeners.keys()) listener.end();
      await running;
    },
  };
}

function wholeOf({ rows }: Listed): readonly Change[] {
  return rows.map(({ key, json }) => ({ id: '', event: 'row', data: `{"key":${key},"row":${json}}` }));
}

/** The changes after `lastId`; null when they are not remembered. */
function missedSince(log: readonly Change[], own: string, next: number, lastId: string | null): readonly Change[] | null {
  const [of, number] = lastId?.split('-') ?? [];
  if (of !== own || number === undefined || !/^\d{1,15}$/.test(number)) return null;
  const last = Number(number);
  const first = next - log.length;
  return last >= next || last < first - 1 ? null : log.slice(last + 1 - first);
}

function changesBetween(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
  rows: readonly ListedRow[],
  note: (event: Change['event'], data: string) => Change,
): readonly Change[] {
  return [
    ...[...before.keys()].filter((key) => !now.has(key)).map((key) => note('gone', `{"key":${key}}`)),
    ...rows.filter(({ key }) => before.get(key) !== now.get(key)).map(({ key, json }) => note('row', `{"key":${key},"row":${json}}`)),
  ];
}

function partOf({ position }: Applied, topic: string): string {
  return formatPosition(new Map([...position].filter(([place]) => place.slice(0, place.lastIndexOf('/')) === topic)));
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64').slice(0, 22);
}
