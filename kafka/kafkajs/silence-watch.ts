/** Watches for signs of life. */
export type SilenceWatch = Disposable & {
  /** Tells a sign of life. */
  beat(): void;
};

const looks = 5;

/**
 * Calls `onSilent` once when there was no sign of life for `limitMs`. Goes by looks that found nothing, and not by the clock alone: a process that was
 * paused for that long has missed nothing. Keeps no process alive.
 */
export function watchSilence(limitMs: number, onSilent: () => void): SilenceWatch {
  let missed = 0;
  const timer = setInterval(() => {
    missed += 1;
    if (missed < looks) return;
    clearInterval(timer);
    onSilent();
  }, limitMs / looks).unref();
  return {
    beat() {
      missed = 0;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}
