import type { BatchControl } from '#kafka/index.ts';

const heartbeatEveryMs = 1000;

/**
 * Keeps the membership while `work` is busy. When a heartbeat fails the group is being shared again: the work hears of it (`leaving`), ends what is at
 * hand and commits it, which the group still takes. Then the heartbeat's error goes to the Kafka client, which joins again.
 */
export async function keepingMembership(control: BatchControl, work: (leaving: AbortSignal) => Promise<void>): Promise<void> {
  const leaving = new AbortController();
  const timer = setInterval(() => {
    control.heartbeat().catch((error: unknown) => leaving.abort(error));
  }, heartbeatEveryMs);
  try {
    await work(leaving.signal);
  } finally {
    clearInterval(timer);
  }
  leaving.signal.throwIfAborted();
}
