import { CdcError, describeError } from '#pipeline/index.ts';
import kafkajs from 'kafkajs';

/** Error types by which the broker says that a newer producer owns the transactional id. */
const fencedTypes: ReadonlySet<string> = new Set(['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH']);

const unreachableNames: ReadonlySet<string> = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSBrokerNotFound',
  'KafkaJSRequestTimeoutError',
  'KafkaJSNoBrokerAvailableError',
]);

/** The chain of causes, outermost first. */
function causes(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let at = error; at instanceof Error && !chain.includes(at); at = at.cause) chain.push(at);
  return chain;
}

/**
 * kafkajs's errors in the words of the catalogue. What the catalogue has no word for comes back unchanged.
 *
 * @param doing what was tried, as in "write to topic orders"
 */
export function translateKafkaError(error: unknown, brokers: readonly string[], doing: string): unknown {
  if (error instanceof CdcError) return error;
  const chain = causes(error);
  const protocolType = chain.find((link) => link instanceof kafkajs.KafkaJSProtocolError)?.type;
  if (protocolType !== undefined && fencedTypes.has(protocolType)) {
    return new CdcError('PRODUCER_FENCED', `could not ${doing}: a newer process has taken over`, { cause: error });
  }
  if (protocolType === 'MESSAGE_TOO_LARGE' || protocolType === 'RECORD_LIST_TOO_LARGE') {
    return new CdcError('KAFKA_MESSAGE_TOO_LARGE', `could not ${doing}: the broker refused its size`, { cause: error });
  }
  if (protocolType === 'UNKNOWN_TOPIC_OR_PARTITION') {
    return new CdcError('TOPIC_MISSING', `could not ${doing}: the topic does not exist`, { cause: error });
  }
  if (chain.some((link) => link.name === 'KafkaJSSASLAuthenticationError')) {
    return new CdcError('KAFKA_AUTHENTICATION_FAILED', `could not ${doing}: the broker refused the credentials`, { cause: error });
  }
  const nobody = `could not ${doing}: no broker answered at ${brokers.join(', ')}`;
  if (chain.some(isMissingAnswer)) return new CdcError('KAFKA_UNREACHABLE', nobody, { cause: error });
  if (chain.some((link) => unreachableNames.has(link.name))) {
    return new CdcError('KAFKA_UNREACHABLE', `${nobody} (${describeError(chain.at(-1))})`, { cause: error });
  }
  return error;
}

/** kafkajs drops the errors of brokers that it asks for metadata one after the other, and stumbles over having no answer from any. */
function isMissingAnswer(link: Error): boolean {
  return link instanceof TypeError && link.message.includes("'topicMetadata'");
}

/** Whether kafkajs threw it (its own consumer loop knows what to do with those). */
export function isKafkaJsError(error: unknown): boolean {
  return error instanceof kafkajs.KafkaJSError;
}

/** What refuses a member of a group for good. */
const refusals: ReadonlySet<string> = new Set([
  'GROUP_AUTHORIZATION_FAILED',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'INCONSISTENT_GROUP_PROTOCOL',
  'INVALID_SESSION_TIMEOUT',
  'INVALID_GROUP_ID',
  'UNSUPPORTED_VERSION',
]);

/** Whether a member that ended with it may find its group again later. Also kafkajs's own stumbles over a broker that has gone are passing. */
export function isPassing(error: unknown): boolean {
  return causes(error).every(
    (link) => link.name !== 'KafkaJSSASLAuthenticationError' && !(link instanceof kafkajs.KafkaJSProtocolError && refusals.has(link.type)),
  );
}
