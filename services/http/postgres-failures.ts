import { CdcError } from '#pipeline/index.ts';

/** Which of a client's faults, or of the server's, an error of Postgres is. */
export type PostgresFailure = 'value' | 'timeout' | 'away';

/** States of Postgres by what a client did. */
const valueStates = /^(?:22|23)/;
/** Of the pool or the connection: the server is away, ends, or answers too late. */
const awayStates = /^(?:08|28|40|53|55|57|58|42501$|E[A-Z]+$)/;

/** Null for what is neither: a fault of our own. */
export function postgresFailure(error: unknown): PostgresFailure | null {
  const code = codeOf(error);
  if (valueStates.test(code)) return 'value';
  if (code === '57014') return 'timeout';
  if (error instanceof CdcError) return 'away';
  if (code !== '') return awayStates.test(code) ? 'away' : null;
  return error instanceof Error && /timeout|connection|terminated|not queryable/i.test(error.message) ? 'away' : null;
}

/** The code of an error, of Postgres, Node or fastify; empty where it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
