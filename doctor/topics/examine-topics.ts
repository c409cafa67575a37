import { foreseeTopics, judgeTopics, type TopicJudgement, type TopicRefusals } from '#cdc-poller/judge.ts';
import { formatTableId } from '#change-events/index.ts';
import { CdcError, describeError, type PollerTableConfig } from '#pipeline/index.ts';
import type { Attempts } from '../attempt.ts';
import type { Settings } from '../request.ts';
import type { Finding } from '../finding.ts';
import type { PolledTable } from '../polled-tables.ts';
import type { Judge } from '../poller-judge.ts';
import { isRefusal, refusalFinding } from '../refusal-finding.ts';
import type { PollerRequest } from '../request.ts';

/** A position may wait for the end of somebody's transaction, and nobody waits for the doctor. */
const limitMs = 15_000;

/**
 * What the poller's judge of topics and positions says of the tables that it would publish. Without Kafka: what the configuration alone shows, and that
 * everything else is unknown.
 */
export async function examineTopics(
  { settings: poller, kafka }: Pick<PollerRequest, 'settings' | 'kafka'>,
  polled: readonly PolledTable[],
  { signal }: Settings,
  see: Attempts['see'],
  judge: Judge | null,
): Promise<readonly Finding[]> {
  if (poller === undefined) return [];
  const tables = polled.map(({ id, config }): PollerTableConfig => ({ ...config, table: formatTableId(id) }));
  if (kafka === undefined) return refused(foreseeTopics(poller, tables));
  const limit = AbortSignal.timeout(limitMs);
  let judged: TopicJudgement;
  try {
    judged = await within(AbortSignal.any([signal, limit]), judgeTopics(kafka.cluster, poller, tables, limit));
  } catch (error) {
    signal.throwIfAborted();
    return [...refused(foreseeTopics(poller, tables)), unseen(error, limit.aborted, kafka.brokers)];
  }
  const refusals = new Map(judged.refusals);
  for (const table of tables) {
    const position = judged.positions.get(table.table);
    if (position === undefined || judge === null) continue;
    const refusal = await see(`whether ${table.table} can go on from its position`, () => judge.position(table, position));
    if (refusal !== null && refusal !== undefined) refusals.set(table.table, refusal);
  }
  return refused(refusals);
}

/** A client has no limit of its own for a broker that takes a connection and says nothing. */
async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  const over = Promise.withResolvers<never>();
  over.promise.catch(() => undefined);
  const abort = (): void => over.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function refused(refusals: TopicRefusals): readonly Finding[] {
  return [...refusals].flatMap(([table, error]) =>
    isRefusal(error.code)
      ? [{ ...refusalFinding(error.code, error, 'query', { kind: 'table', name: table, table }), privilege: 'who edits pipeline.yaml' }]
      : [],
  );
}

function unseen(error: unknown, isLate: boolean, brokers: string): Finding {
  const subject = { kind: 'setting', name: 'kafka.brokers' } as const;
  if (error instanceof CdcError && isRefusal(error.code)) return refusalFinding(error.code, error, 'query', subject);
  const why = isLate ? `no answer within ${limitMs / 1000} s` : describeError(error).replaceAll(/\s+/g, ' ');
  const unreachable = new CdcError('KAFKA_UNREACHABLE', `topics and positions of the poller could not be read at ${brokers} (${why})`);
  return refusalFinding('KAFKA_UNREACHABLE', unreachable, 'query', subject);
}
