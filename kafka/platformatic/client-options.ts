import { tlsOptions, type KafkaConfig } from '#pipeline/index.ts';
import type { BaseOptions, SASLMechanismValue } from '@platformatic/kafka';

/** Attempts to bridge what lasts a moment: a coordinator that loads, a leader that moves. */
export const attempts = 8;

export function backOffMs(attempt: number): number {
  return Math.min(1000, 25 * 2 ** attempt);
}

const mechanisms = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const satisfies Record<NonNullable<KafkaConfig['sasl']>['mechanism'], SASLMechanismValue>;

/** What every client of this adapter is made with. */
export function clientOptions({ brokers, clientId, requestTimeoutMs, tls, sasl }: KafkaConfig): BaseOptions {
  return {
    clientId,
    bootstrapBrokers: [...brokers],
    connectTimeout: 3000,
    // The library closes a connection that leaves a request unanswered for this long.
    requestTimeout: requestTimeoutMs,
    retries: attempts,
    retryDelay: (_client, _operation, attempt) => backOffMs(attempt),
    autocreateTopics: false,
    ...(tls === undefined ? {} : { tls: tlsOptions(tls) }),
    ...(sasl === undefined ? {} : { sasl: { mechanism: mechanisms[sasl.mechanism], username: sasl.username, password: sasl.password } }),
  };
}
