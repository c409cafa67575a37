import type { Kafka, KafkaAdmin } from '#kafka/index.ts';
import { CdcError, describeError, pause, type Logger } from '#pipeline/index.ts';
import { joinUntilMoreTopics, retrying, waitForNewTopics, type Reader } from '#read-model/engine/index.ts';
import type { ConsumerState } from './consumer.ts';
import type { Lifetime } from './lifetime.ts';
import type { Settings } from './settings.ts';

export type Membership = {
  readonly settings: Settings;
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly logger: Logger;
  readonly lifetime: Lifetime;
  state: ConsumerState;
};

/** How partitions are read. */
export type Reading = {
  /** Whose membership it is, for the log. */
  readonly name: string;
  /** `beginning`: the reader places its partitions. */
  readonly startAt: 'beginning' | 'committed';
  readonly reader: (signal: AbortSignal, onFailure: (error: unknown) => void) => Reader;
};

/** An unknown error begins the membership again after so long. */
const tryAgainMs = 2000;

/**
 * Keeps the membership of the group until the consumer ends; lets go of `stack` then. `beside` is what runs beside it, and ends with it.
 *
 * @throws what it failed with
 */
export async function untilEnded(run: Membership, reading: Reading, beside: Promise<unknown>, stack: AsyncDisposableStack): Promise<void> {
  const { lifetime, logger } = run;
  try {
    await keepMembership(run, reading);
  } catch (error) {
    if (!lifetime.signal.aborted) {
      const { code, remedy } = error instanceof CdcError ? error : { code: undefined, remedy: undefined };
      logger.error({ code, remedy, err: error }, `the consumer has ended: ${describeError(error)}`);
      throw error;
    }
  } finally {
    run.state = 'ended';
    lifetime.abort(new CdcError('CONSUMER_ENDED', 'the consumer has ended'));
    await beside;
    await stack.disposeAsync();
  }
}

async function keepMembership(run: Membership, { name, startAt, reader }: Reading): Promise<void> {
  const { settings, kafka, admin, logger, lifetime } = run;
  const { signal } = lifetime;
  const { group: groupId, concurrency } = settings;
  const topics = Object.values(settings.topics).map(({ topic }) => topic);
  let present: readonly string[] = [];
  while (!signal.aborted) {
    if (present.length === 0) {
      run.state = 'waiting for topics';
      present = await waitForNewTopics(admin, topics, [], logger, signal);
    }
    run.state = 'joining';
    const onJoined = (joined: boolean): void => {
      run.state = joined ? 'consuming' : 'joining';
    };
    const membership = { name, groupId, topics, concurrency, kafka, admin, logger, startAt, onJoined, reader };
    present = await joinUntilMoreTopics(membership, present, signal).catch(async (error: unknown) => {
      if (signal.aborted || error instanceof CdcError) throw error;
      logger.error({ err: error }, `${describeError(error)}; the consumer joins again`);
      await pause(tryAgainMs, signal);
      return [];
    });
  }
}

export async function openAdmin(kafka: Kafka, { kafkaConfig }: Settings, logger: Logger, signal: AbortSignal): Promise<KafkaAdmin> {
  if (kafkaConfig.whenUnavailable === 'exit') return kafka.admin();
  return retrying('connecting to Kafka', logger, signal, () => kafka.admin());
}
