import type { BatchControl } from '#kafka/index.ts';

const heartbeatEveryMs = 1000;

/**
 * Keeps the membership while `work` is busy or waits for the database. When a heartbeat fails the group is rebalancing: the work is let go
 * (the database decides whether it was applied) and the heartbeat's error goes to the Kafka client, which joins again.
 */
export async function withHeartbeats(control: BatchControl, work: (lost: AbortSignal) => Promise<void>): Promise<void> {
  const lost = new AbortController();
  const timer = setInterval(() => {
    control.heartbeat().catch((error: unknown) => lost.abort(error));
  }, heartbeatEveryMs);
  try {
    await work(lost.signal);
  } finally {
    clearInterval(timer);
  }
}
