import { describeError, pause, type Logger } from '#pipeline/index.ts';
import type { Applied, Reader } from '../model/reader.ts';
import { hasReached, type Wanted } from './position.ts';

/**
 * One look at the model's positions for all who wait for them: requests with Min-Position, and live streams. Looks only while somebody waits, and never
 * twice at once, so that waiting costs the read database the same however many wait.
 */
export type Positions = {
  /** Whether the model has reached what is wanted within `ms`. `unknown`: it has no such topic. */
  reached(wanted: Wanted, ms: number, signal: AbortSignal): Promise<'yes' | 'no' | 'unknown'>;
  /** Told of every look, until disposed. */
  follow(listener: (applied: Applied) => void): Disposable;
};

const lookEveryMs = 50;
const afterErrorMs = 500;
/** A model that is always looked at too late is not waited for longer than asked. */
const waitersMost = 10_000;

export function followPositions(reader: Pick<Reader, 'applied'>, clockAheadMs: number, logger: Logger, signal: AbortSignal): Positions {
  const listeners = new Set<(applied: Applied) => void>();
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
          // Who waits is told by its own query what is wrong.
          logger.debug({ reason: describeError(error) }, 'the positions cannot be read for now');
          waitMs = afterErrorMs;
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
  const meant = ahead(clockAheadMs);
  return {
    follow,
    async reached(wanted, ms, until) {
      if (listeners.size >= waitersMost) return 'no';
      const asked = meant(wanted);
      const answer = Promise.withResolvers<'yes' | 'no' | 'unknown'>();
      const ended = AbortSignal.any([until, signal, AbortSignal.timeout(ms)]);
      const give = (): void => answer.resolve('no');
      ended.addEventListener('abort', give, { once: true });
      if (ended.aborted) give();
      const following = follow((applied) => {
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

/** Times are of the source's clock, which may be ahead: heartbeats count as that much earlier. */
function ahead(clockAheadMs: number): (wanted: Wanted) => Wanted {
  return (wanted) => (wanted.kind === 'time' ? { ...wanted, micros: wanted.micros - BigInt(clockAheadMs) * 1000n } : wanted);
}

/** A topic that the model does not read is never applied. One that it will read has no place yet either: the model then has none at all. */
function knows({ position }: Applied, wanted: Wanted): boolean {
  if (wanted.kind === 'time' || position.size === 0) return true;
  return [...wanted.offsets.keys()].every((place) => position.has(place));
}
