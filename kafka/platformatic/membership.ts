import { pause } from '#pipeline/index.ts';
import type { Consumer } from '@platformatic/kafka';
import type { ConsumerOptions } from '../port.ts';
import { breakConnections } from './close.ts';
import { backOffMs } from './client-options.ts';
import { isPassing } from './errors.ts';

export type Membership = {
  /** Forgets the member's timers; the group learns of it when the client is closed. */
  stop(): void;
};

type Hooks = {
  readonly signal: AbortSignal;
  /** How long the coordinator may leave a heartbeat unanswered, in ms. */
  readonly answerMs: number;
  readonly onAssigned: (assignment: Readonly<Record<string, readonly number[]>>) => void;
  readonly onFailed: (error: unknown) => void;
};

/**
 * Keeps a consumer in its group: the library sends heartbeats and joins again after a rebalance; what it gives up (the coordinator was away
 * for long) is tried again here, and partitions that were added are looked for.
 */
export async function joinGroup(consumer: Consumer, options: ConsumerOptions, hooks: Hooks): Promise<Membership> {
  const { signal } = hooks;
  let known = await countPartitions(consumer, options.topics);
  let joining: Promise<void> | null = null;
  const join = async (): Promise<void> => {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        await consumer.joinGroup();
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!isPassing(error)) throw error;
        await pause(backOffMs(attempt), signal);
      }
    }
  };
  const rejoin = (): void => {
    if (joining !== null || signal.aborted) return;
    joining = join()
      .catch(hooks.onFailed)
      .finally(() => {
        joining = null;
      });
  };
  const look = async (): Promise<void> => {
    try {
      const counts = await countPartitions(consumer, options.topics);
      if (counts === known) return;
      known = counts;
      rejoin();
    } catch {
      // The next look may fare better; a lost broker shows itself elsewhere.
    }
  };
  consumer.on('consumer:group:join', ({ assignments }) => {
    hooks.onAssigned(Object.fromEntries((assignments ?? []).map(({ topic, partitions }) => [topic, partitions])));
  });
  const silence = watchSilence(consumer, hooks.answerMs);
  consumer.on('consumer:heartbeat:end', () => options.onConfirmed?.());
  consumer.on('error', rejoin);
  await join();
  const timer = setInterval(() => void look(), options.metadataMaxAgeMs ?? 300_000);
  return {
    stop() {
      clearInterval(timer);
      silence.stop();
    },
  };
}

/** Gives up the connection over which a heartbeat was not answered: the library would wait as long as for a join. */
function watchSilence(consumer: Consumer, answerMs: number): { stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearTimeout(timer);
  consumer.on('consumer:heartbeat:start', () => {
    stop();
    timer = setTimeout(() => breakConnections(consumer), answerMs);
  });
  for (const event of ['consumer:heartbeat:end', 'consumer:heartbeat:error', 'consumer:heartbeat:cancel', 'consumer:group:join'] as const) {
    consumer.on(event, stop);
  }
  return { stop };
}

async function countPartitions(consumer: Consumer, topics: readonly string[]): Promise<string> {
  const metadata = await consumer.metadata({ topics: [...topics], forceUpdate: true });
  return topics.map((topic) => `${topic}=${metadata.topics.get(topic)?.partitionsCount ?? 0}`).join(' ');
}
