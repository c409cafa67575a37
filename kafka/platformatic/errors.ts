import { TimeoutError } from '@platformatic/kafka';
import { CdcError, describeError } from '#pipeline/index.ts';

/** What the protocol said, by name (`PRODUCER_FENCED`), in the order in which the error's links and causes come. */
export function protocolErrors(error: unknown): readonly string[] {
  return links(error).flatMap((link) => ('apiId' in link && typeof link.apiId === 'string' ? [link.apiId] : []));
}

/** Whether the same request may succeed a moment later. */
export function isPassing(error: unknown): boolean {
  const ids = protocolErrors(error);
  if (ids.length > 0) return ids.every((id) => passing.has(id));
  if (error instanceof NoLeaderError) return true;
  return links(error).some((link) => 'code' in link && link.code === 'PLT_KFK_NETWORK');
}

/** Whether a topic that was asked about does not exist. */
export function isUnknownTopic(error: unknown): boolean {
  return (
    protocolErrors(error).includes('UNKNOWN_TOPIC_OR_PARTITION') || links(error).some(({ message }) => message.startsWith('Unknown topic '))
  );
}

/** Whether a broker left a request, or a connection, unanswered: to ask again would take as long again. */
export function isSilence(error: unknown): boolean {
  return links(error).some((link) => link instanceof TimeoutError);
}

/** A partition whose leader is gone, and no other has been chosen yet. */
export class NoLeaderError extends Error {
  constructor(topic: string) {
    super(`a partition of ${topic} has no leader`);
    this.name = 'NoLeaderError';
  }
}

const passing: ReadonlySet<string> = new Set([
  'CONCURRENT_TRANSACTIONS',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'NOT_CONTROLLER',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
]);

/** The error with its causes and, of an error made of several, its parts. */
function links(error: unknown): readonly Error[] {
  const found: Error[] = [];
  const open = [error];
  for (let at = open.shift(); at !== undefined; at = open.shift()) {
    if (!(at instanceof Error) || found.includes(at)) continue;
    found.push(at);
    if (at instanceof AggregateError) open.push(...at.errors);
    if (at.cause !== undefined) open.push(at.cause);
  }
  return found;
}

/**
 * @platformatic/kafka's errors in the words of the catalogue. What the catalogue has no word for comes back unchanged.
 *
 * @param doing what was tried, as in "write to topic orders"
 */
export function translateError(error: unknown, brokers: readonly string[], doing: string): unknown {
  if (error instanceof CdcError) return error;
  const ids = new Set(protocolErrors(error));
  if (ids.has('PRODUCER_FENCED') || ids.has('INVALID_PRODUCER_EPOCH')) {
    return new CdcError('PRODUCER_FENCED', `could not ${doing}: a newer process has taken over`, { cause: error });
  }
  if (ids.has('MESSAGE_TOO_LARGE') || ids.has('RECORD_LIST_TOO_LARGE')) {
    return new CdcError('KAFKA_MESSAGE_TOO_LARGE', `could not ${doing}: the broker refused its size`, { cause: error });
  }
  if (isUnknownTopic(error)) {
    return new CdcError('TOPIC_MISSING', `could not ${doing}: the topic does not exist`, { cause: error });
  }
  const all = links(error);
  if (all.some((link) => 'code' in link && link.code === 'PLT_KFK_AUTHENTICATION')) {
    return new CdcError('KAFKA_AUTHENTICATION_FAILED', `could not ${doing}: the broker refused the credentials`, { cause: error });
  }
  if (all.some((link) => link instanceof NoLeaderError || ('code' in link && link.code === 'PLT_KFK_NETWORK'))) {
    const why = describeError(all.findLast((link) => !(link instanceof AggregateError)) ?? error);
    return new CdcError('KAFKA_UNREACHABLE', `could not ${doing}: no broker answered at ${brokers.join(', ')} (${why})`, { cause: error });
  }
  return error;
}
