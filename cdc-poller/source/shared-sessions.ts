import type { SourceSession } from './dialect.ts';

/** Connections to the legacy database that the tables of a process take in turn. */
export type SharedSessions = AsyncDisposable & {
  /**
   * A table's session: it takes a connection for a query, the longest-waiting table first, and keeps it until it rests or is disposed. What has
   * failed on a connection ends it: nobody else meets its state.
   *
   * @throws CdcError of the server, as a connection of one's own does; the signal's reason
   */
  take(signal: AbortSignal): Promise<SourceSession>;
};

/**
 * At most `most` connections at a time. One is opened when it is needed and none is free, and stays open. Disposing ends those that are free; tables
 * give theirs back before.
 */
export function shareSessions(most: number, open: () => Promise<SourceSession>): SharedSessions {
  const free: SourceSession[] = [];
  const queue: (() => void)[] = [];
  let places = most;

  /** A place belongs to whoever waits longest; who is no longer waiting passes it on. */
  const leave = (): void => {
    const next = queue.shift();
    if (next === undefined) places += 1;
    else next();
  };
  const enter = async (signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (places > 0) {
      places -= 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = (): void => {
      const place = queue.indexOf(resolve);
      // Not there: it has just been given a place, which it passes on when it is disposed.
      if (place === -1) return;
      queue.splice(place, 1);
      reject(signal.reason);
    };
    signal.addEventListener('abort', giveUp, { once: true });
    queue.push(resolve);
    await promise;
    signal.removeEventListener('abort', giveUp);
  };
  const acquire = async (signal: AbortSignal): Promise<SourceSession> => {
    await enter(signal);
    try {
      return free.pop() ?? (await open());
    } catch (error) {
      leave();
      throw error;
    }
  };
  const giveBack = (session: SourceSession): void => {
    free.push(session);
    leave();
  };
  const end = async (session: SourceSession): Promise<void> => {
    try {
      await session[Symbol.asyncDispose]();
    } finally {
      leave();
    }
  };

  return {
    async take(signal) {
      const first = await acquire(signal);
      return turnsOf(first, { acquire: () => acquire(signal), giveBack, end });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(free.splice(0).map((session) => session[Symbol.asyncDispose]()));
    },
  };
}

type Lending = {
  readonly acquire: () => Promise<SourceSession>;
  readonly giveBack: (session: SourceSession) => void;
  readonly end: (session: SourceSession) => Promise<void>;
};

/** All sessions of a dialect can do the same, so that the first one shows what this one can. */
function turnsOf(first: SourceSession, { acquire, giveBack, end }: Lending): SourceSession {
  let held: Promise<SourceSession> | null = Promise.resolve(first);
  const use = async <T>(work: (session: SourceSession) => Promise<T>): Promise<T> => {
    const mine = (held ??= acquire());
    const letGo = (): boolean => {
      if (held !== mine) return false;
      held = null;
      return true;
    };
    let session: SourceSession;
    try {
      session = await mine;
    } catch (error) {
      letGo();
      throw error;
    }
    try {
      return await work(session);
    } catch (error) {
      // Of two queries that fail with it only one ends it.
      if (letGo()) await end(session);
      throw error;
    }
  };
  const rest = async (): Promise<void> => {
    const mine = held;
    held = null;
    if (mine !== null) giveBack(await mine);
  };
  return {
    dialect: first.dialect,
    query: (...asked) => use((session) => session.query(...asked)),
    ...(first.prepared === undefined ? {} : { prepared: (...asked) => use((session) => session.prepared?.(...asked) ?? differs()) }),
    page: (query) => use((session) => session.page(query)),
    describe: (text) => use((session) => session.describe(text)),
    observe: (...asked) => use((session) => session.observe(...asked)),
    ...(first.copyPage === undefined ? {} : { copyPage: (text) => use((session) => session.copyPage?.(text) ?? differs()) }),
    ...(first.explain === undefined ? {} : { explain: (query) => use((session) => session.explain?.(query) ?? differs()) }),
    rest,
    [Symbol.asyncDispose]: rest,
  };
}

function differs(): Promise<never> {
  return Promise.reject(new TypeError('sessions of one dialect differ'));
}
