import { describeError, type Logger } from '#pipeline/index.ts';
import { postgresFailure } from '../../http/postgres-failures.ts';
import { Refused } from '../../resilience/guard.ts';
import { Problem, type ProblemKind } from '../../http/problems.ts';

/** What a client gets for an error of the read database, or of the guard before it; null for a fault of our own. What is not the client's is logged. */
export function modelProblemOf(error: unknown, logger: Logger): Problem | null {
  switch (error instanceof Refused ? 'away' : postgresFailure(error)) {
    case 'value':
      return new Problem('value-invalid', `A value does not fit its column: ${describeError(error)}.`);
    case 'timeout':
      return logged('query-timeout', 'The query took longer than this server allows. A narrower filter may help.');
    case 'away':
      return logged('model-unavailable', 'The read model cannot be read at present.');
    case null:
      return null;
  }

  function logged(kind: ProblemKind, detail: string): Problem {
    logger.warn({ reason: describeError(error) }, `a request was answered with ${kind}`);
    return new Problem(kind, detail);
  }
}
