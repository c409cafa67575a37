import { describeError, pause, type Logger } from '#pipeline/index.ts';
import { hasReached, laterBy, type Wanted } from '#read-model/index.ts';
import type { Reader } from '../model/reader.ts';
import type { Applied } from '../model/readings.ts';
import { postgresFailure } from '../../http/postgres-failures.ts';

/**
 * One look at the model's positions for all who wait for them: requests with Min-Position, and live streams. Looks only while somebody waits, and never
 * twice at once, so that waiting costs the read database the same however many wait.
 */
export type Positions = {
  /** Whether the model has reached what is wanted within `ms`. `unknown`: it has no such topic. `away`: it cannot be asked, and `whenAway` is to give up. */
  reached(wanted: Wanted, ms: number, signal: AbortSignal): Promise<Outcome>;
  /** Gets what every look finds, until disposed; null while the model cannot be asked. */
  follow(listener: Listener): Disposable;
};

type Listener = (applied: Applied | null) => void;

type Outcome = 'yes' | 'no' | 'unknown' | 'away';

const lookEveryMs = 50;
const afterErrorMs = 500;
/** A model that is always looked at too late is not waited for longer than asked. */
const waitersMost = 10_000;

type FollowOptions = {
  readonly reader: Pick<Reader, 'applied'>;
  /** How far the clock of the source is ahead. */
  readonly clockAheadMs: number;
  /** While the model cannot be asked: whether it is waited for, in case it comes back. */
  readonly whenAway: 'wait' | 'give-up';
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

export function followPositions({ reader, clockAheadMs, whenAway, logger, signal }: FollowOptions): Positions {
  const listeners = new Set<Listener>();
  let looking = false;
  const look = async (): Promise<void> => {
    looking = true;
    try {
      while (listeners.size > 0 && !signal.aborted) {
        let waitMs = lookEveryMs;
        try {
          const applied = await reader.applied();
          for (const listener of listeners) listener(applied);
        } catch (error) {
          // Who waits learns from its own query what is wrong.
          logger.debug({ reason: describeError(error) }, 'the positions cannot be read for now');
          waitMs = afterErrorMs;
          if (postgresFailure(error) === 'away') for (const listener of listeners) listener(null);
        }
        await pause(waitMs, signal);
      }
    } finally {
      looking = false;
    }
  };
  const follow: Positions['follow'] = (listener) => {
    listeners.add(listener);
    if (!looking) void look();
    return { [Symbol.dispose]: () => void listeners.delete(listener) };
  };
  return {
    follow,
    async reached(wanted, ms, until) {
      if (listeners.size >= waitersMost) return 'no';
      const asked = laterBy(clockAheadMs, wanted);
      const answer = Promise.withResolvers<Outcome>();
      const ended = AbortSignal.any([until, signal, AbortSignal.timeout(ms)]);
      const give = (): void => answer.resolve('no');
      ended.addEventListener('abort', give, { once: true });
      if (ended.aborted) give();
      const following = follow((applied) => {
        if (applied === null) {
          if (whenAway === 'give-up') answer.resolve('away');
          return;
        }
        const reached = { offsets: applied.position, asOf: applied.asOf };
        if (hasReached(reached, asked)) answer.resolve('yes');
        else if (!knows(applied, asked)) answer.resolve('unknown');
      });
      try {
        return await answer.promise;
      } finally {
        following[Symbol.dispose]();
        ended.removeEventListener('abort', give);
      }
    },
  };
}

/** A topic that the model does not read is never applied. One that it will read has no place yet either: the model then has none at all. */
function knows({ position }: Applied, wanted: Wanted): boolean {
  if (wanted.kind === 'time' || position.size === 0) return true;
  return [...wanted.offsets.keys()].every((place) => position.has(place));
}
