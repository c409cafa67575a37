/** Runs `work` when it is its turn. @throws the signal's reason, where it is aborted before the turn comes; what `work` throws */
export type Turns = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;

/**
 * At most `most` at a time, in the order in which they asked. For what would overrun a server when thousands of tables did it at once. Whoever is given up
 * while it waits does nothing when its turn comes.
 */
export function takeTurns(most: number): Turns {
  let free = most;
  const queue: (() => void)[] = [];
  return async (work, signal) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => void queue.push(resolve));
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
