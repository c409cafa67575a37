import { formatSeconds } from './wait-for.ts';

/** Takes one line about long work. */
export type Progress = (text: string) => void;

export const noProgress: Progress = () => undefined;

/** Runs `work` and, once it has lasted two seconds, says so every few seconds: "waiting for kafka (5.0 s)". */
export async function withElapsed<T>(progress: Progress, label: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
    if (ticks === 2 || ticks % 5 === 0) progress(`${label} (${formatSeconds(performance.now() - started)})`);
  }, 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
