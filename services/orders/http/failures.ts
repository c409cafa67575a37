import { DatabaseError } from 'pg';
import { describeError, type Logger } from '#pipeline/index.ts';
import { codeOf, postgresFailure } from '../../http/postgres-failures.ts';
import { Problem } from '../../http/problems.ts';

/** What a client gets for an error of the legacy database; null for a fault of our own. What is not the client's is logged. */
export function legacyProblemOf(error: unknown, logger: Logger): Problem | null {
  const code = codeOf(error);
  if (error instanceof DatabaseError) {
    // The detail names the key and the table: Postgres gives it only to a role that may read both.
    if (code === '23503' && /is not present/.test(error.detail ?? '')) return new Problem('reference-unknown', error.detail ?? '');
    // Another table still refers to it, or a trigger of the legacy system has its own rule.
    if (code === '23503' || code === 'P0001') return new Problem('conflict', `The legacy system refuses it: ${describeError(error)}.`);
  }
  switch (postgresFailure(error)) {
    case 'value':
      return new Problem('body-invalid', `A value does not fit its column: ${describeError(error)}.`);
    case 'timeout':
    case 'away':
      logger.warn({ reason: describeError(error) }, 'a command was answered with legacy-unavailable');
      return new Problem('legacy-unavailable', 'The legacy system did not answer. With an Idempotency-Key the command can be sent again.');
    case null:
      return null;
  }
}
