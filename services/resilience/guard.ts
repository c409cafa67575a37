import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  CircuitState,
  circuitBreaker,
  ConsecutiveBreaker,
  handleWhen,
} from 'cockatiel';
import { unlessAborted, type Logger } from '#pipeline/index.ts';

/** One dependency of a service, kept from taking the service down with it: a bulkhead, a circuit breaker and a timeout, in that order. */

export type GuardSettings = {
  /** Longest time of one call. */
  readonly timeoutMs: number;
  /** Calls at once; `queue` more wait, each for `timeoutMs` at the longest, and others are refused at once. */
  readonly concurrent: number;
  readonly queue: number;
  /** So many failures one after another open the breaker. */
  readonly failures: number;
  /** An open breaker refuses calls at once for this long. The next call is then the only one, and decides. */
  readonly probeAfterMs: number;
};

export type GuardState = 'closed' | 'open' | 'half-open';

/** What a guard has refused, without asking the dependency or without waiting longer for it. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly why: 'open' | 'busy' | 'timeout';

  constructor(why: Refused['why'], detail: string) {
    super(detail);
    this.why = why;
  }
}

export type GuardFigures = {
  readonly state: GuardState;
  readonly running: number;
  readonly waiting: number;
  /** Since the start. */
  readonly opened: number;
  readonly refused: Readonly<Record<Refused['why'], number>>;
};

export type Guard = {
  readonly name: string;
  /**
   * Does the work, with a signal that ends it. Aborting `signal` ends the wait, and is no failure of the dependency.
   *
   * @throws Refused when the dependency is not asked, or does not answer in time; else whatever the work throws
   */
  run<T>(work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Whether a call would be refused now, because the breaker is open. */
  readonly isOpen: boolean;
  readonly figures: GuardFigures;
};

/** @param isFailure which errors of the work are faults of the dependency, and not of what was asked */
export function createGuard(name: string, settings: GuardSettings, isFailure: (error: unknown) => boolean, logger: Logger): Guard {
  const { timeoutMs, concurrent, queue, failures, probeAfterMs } = settings;
  const refused = { open: 0, busy: 0, timeout: 0 };
  let opened = 0;
  let openedAt = 0;
  const breaker = circuitBreaker(
    handleWhen((error) => (error instanceof Refused ? error.why === 'timeout' : isFailure(error))),
    { breaker: new ConsecutiveBreaker(failures), halfOpenAfter: probeAfterMs },
  );
  const places = bulkhead(concurrent, queue);
  breaker.onBreak(() => {
    opened += 1;
    openedAt = Date.now();
    logger.warn({ dependency: name, probeAfterMs }, 'the circuit breaker is open: the dependency is not asked for a while');
  });
  breaker.onReset(() => logger.info({ dependency: name }, 'the circuit breaker is closed again'));
  // While the probe runs, others would wait for it: they are refused like before it.
  const isOpen = (): boolean =>
    breaker.state === CircuitState.HalfOpen || (breaker.state === CircuitState.Open && Date.now() - openedAt < probeAfterMs);
  const refuse = (why: Refused['why'], detail: string): Refused => {
    refused[why] += 1;
    return new Refused(why, detail);
  };
  const openNow = (): Refused => refuse('open', `${name} has failed ${failures} times: it is asked again ${probeAfterMs} ms after that`);
  // Not the timeout of cockatiel: it takes a caller who has gone for a dependency that is slow.
  const inTime = async <T>(work: (signal: AbortSignal) => Promise<T>, until: AbortSignal): Promise<T> => {
    const tooLate = AbortSignal.timeout(timeoutMs);
    try {
      const ends = AbortSignal.any([until, tooLate]);
      return await unlessAborted(work(ends), ends);
    } catch (error) {
      if (tooLate.aborted && !until.aborted) throw refuse('timeout', `${name} did not answer within ${timeoutMs} ms`);
      throw error;
    }
  };
  return {
    name,
    get isOpen() {
      return isOpen();
    },
    get figures() {
      return {
        state: stateNames[breaker.state],
        running: concurrent - places.executionSlots,
        waiting: queue - places.queueSlots,
        opened,
        refused: { ...refused },
      };
    },
    async run(work, signal = new AbortController().signal) {
      signal.throwIfAborted();
      if (isOpen()) throw openNow();
      const queued = new AbortController();
      const waited = setTimeout(() => queued.abort(), timeoutMs);
      try {
        const running = places.execute(() => {
          clearTimeout(waited);
          queued.signal.throwIfAborted();
          signal.throwIfAborted();
          if (isOpen()) throw openNow();
          // A probe is for all: a caller who goes does not end it, and so does not count as its success.
          const until = breaker.state === CircuitState.Closed ? signal : new AbortController().signal;
          return breaker.execute(() => inTime(work, until));
        });
        return await unlessAborted(unlessQueued(running, queued.signal), signal);
      } catch (error) {
        if (error instanceof BulkheadRejectedError) throw refuse('busy', `${name}: ${concurrent} calls run and ${queue} wait`);
        if (error instanceof BrokenCircuitError) throw openNow();
        throw error;
      } finally {
        clearTimeout(waited);
      }
    },
  };

  async function unlessQueued<T>(running: Promise<T>, waitedTooLong: AbortSignal): Promise<T> {
    try {
      return await unlessAborted(running, waitedTooLong);
    } catch (error) {
      if (waitedTooLong.aborted && !(error instanceof Refused))
        throw refuse('busy', `${name}: ${concurrent} calls run, and none ended within ${timeoutMs} ms`);
      throw error;
    }
  }
}

const stateNames: Readonly<Record<CircuitState, GuardState>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
};
