import { describeError, pause, type Logger } from '#pipeline/index.ts';
import type { ConsumerOptions, GroupConsumer } from '../port.ts';
import { isPassing } from './errors.ts';
import { startMember, type KafkaJsMember, type Life } from './member.ts';

type Context = { readonly translate: (error: unknown, doing: string) => unknown; readonly logger: Logger };

/** Longest wait before the group is joined again, in ms. */
const maxPauseMs = 2000;
/** How often it is said that joining fails still, and why. */
const sayEveryMs = 30_000;
/** Who has been a member for this long, in ms, failed for the first time. */
const calmMs = 10_000;

/**
 * Runs a member of a group under the port's rules: one kafkajs consumer after the other. What lasts longer than kafkajs's own retries (the
 * coordinator's broker is gone, and it keeps asking that one) ends a consumer, and a new one finds its way; what `onBatch` throws
 * stops the member for good, at once and without accepting the batch.
 */
export async function runConsumer(
  make: () => KafkaJsMember,
  options: ConsumerOptions,
  { translate, logger }: Context,
): Promise<GroupConsumer> {
  const doing = `consume as group ${options.groupId}`;
  const closed = Promise.withResolvers<void>();
  // Whoever does not look at `closed` must not be killed by its rejection.
  closed.promise.catch(() => undefined);
  const stopping = new AbortController();
  const { signal } = stopping;

  const fail = (error: unknown): void => {
    if (signal.aborted) return;
    stopping.abort();
    closed.reject(translate(error, doing));
  };

  let nextSaid = 0;
  /** Null when it was stopped, or has failed for good. */
  const joinAgain = async (why: unknown, failures: number): Promise<Life | null> => {
    let error = why;
    for (let attempt = failures; !signal.aborted; attempt += 1) {
      const ms = Math.min(maxPauseMs, 100 * 2 ** attempt);
      // An outage may last: it is not said at every try, and not forgotten either, also when each join is soon followed by the next failure.
      const isLoud = attempt === 0 || performance.now() >= nextSaid;
      if (isLoud) nextSaid = performance.now() + sayEveryMs;
      logger[isLoud ? 'warn' : 'debug']({ attempt, nextTryInMs: ms }, `joining group ${options.groupId} again: ${describeError(error)}`);
      await pause(ms, signal);
      try {
        return await startMember(make(), options, signal);
      } catch (failure) {
        if (signal.aborted) return null;
        if (!isPassing(failure)) {
          fail(failure);
          return null;
        }
        error = failure;
      }
    }
    return null;
  };

  let life: Life | null;
  try {
    life = await startMember(make(), options, signal);
  } catch (error) {
    throw translate(error, doing);
  }
  const stay = async (): Promise<void> => {
    for (let failures = 0; life !== null; failures += 1) {
      const began = performance.now();
      const ending = await Promise.race([life.ended, stopped]);
      if (ending === null) return;
      if (ending.by === 'handler' || !isPassing(ending.error)) {
        fail(ending.error);
        return;
      }
      if (performance.now() - began > calmMs) failures = 0;
      life = await joinAgain(ending.error, failures);
    }
  };
  const stopped = new Promise<null>((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const stayed = stay();

  return {
    closed: closed.promise,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await stayed;
      await life?.leave();
      closed.resolve();
    },
  };
}
