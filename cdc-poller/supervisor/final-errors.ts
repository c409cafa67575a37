import { CdcError, type ErrorCode } from '#pipeline/index.ts';
import { TableReshaped } from '../source/table/table-reshaped.ts';
import { unfitCodes } from '../source/judge/unfit-codes.ts';

/** That a table cannot be polled as it is configured (judge.ts). */
const unfit: ReadonlySet<ErrorCode> = new Set([...unfitCodes, 'TABLES_UNFIT']);

/** What somebody may fix while the poller runs: a grant, the column that was renamed, the size that a topic takes. */
const fixableCodes: ReadonlySet<ErrorCode> = new Set([
  'VALUE_UNREADABLE',
  ...unfit,
  'TABLE_CHANGED',
  'TOPIC_REPLACED',
  'POSITION_INVALID',
  'POSITION_INCOMPLETE',
  'KAFKA_MESSAGE_TOO_LARGE',
  'SCHEMA_INCOMPATIBLE',
  'SCHEMA_INVALID',
  'REGISTRY_REFUSED',
]);

/** What does not go away by itself: the table ends with it instead of trying again. */
const finalCodes: ReadonlySet<ErrorCode> = new Set([
  ...fixableCodes,
  'PRODUCER_FENCED',
  'SOURCE_IS_STANDBY',
  'POOLER_BETWEEN',
  'SOURCE_CHANGED',
  'POSITIONS_LOST',
  'KAFKA_AUTHENTICATION_FAILED',
  'LEGACY_LOGIN_REFUSED',
  'LEGACY_DB_MISSING',
]);

/** What is read again from Kafka at each try. */
const resettable: ReadonlySet<ErrorCode> = new Set(['TOPIC_REPLACED', 'POSITION_INVALID', 'POSITION_INCOMPLETE']);

export function isFinal(error: unknown): boolean {
  return error instanceof CdcError && finalCodes.has(error.code);
}

export function isUnfit(error: unknown): error is CdcError {
  return error instanceof CdcError && unfit.has(error.code);
}

export function isMendable(error: unknown): boolean {
  return error instanceof CdcError && fixableCodes.has(error.code);
}

/** The table's schema does not go with those that its subject has. */
export function isIncompatible(error: unknown): boolean {
  return error instanceof CdcError && error.code === 'SCHEMA_INCOMPATIBLE';
}

/** The position is of no use as it is: cdc poller reset replaces it, also while the poller runs. */
export function needsReset(error: unknown): boolean {
  return error instanceof CdcError && resettable.has(error.code);
}

/** Another process has taken the transactional id. */
export function isFenced(error: unknown): boolean {
  return error instanceof CdcError && error.code === 'PRODUCER_FENCED';
}

/** Nothing of Kafka's. The database's or the registry's: pg's errors carry a severity or a socket's code, mysql2's an SQLSTATE; Kafka's come as CdcError or as kafkajs's own. */
export function isDatabaseError(error: unknown): boolean {
  if (error instanceof TableReshaped) return true;
  if (error instanceof CdcError)
    return (
      error.code === 'LEGACY_DB_UNREACHABLE' ||
      error.code === 'REGISTRY_UNREACHABLE' ||
      (isMendable(error) && !needsReset(error) && error.code !== 'KAFKA_MESSAGE_TOO_LARGE')
    );
  return (
    error instanceof Error &&
    ('severity' in error || 'sqlState' in error || /Connection terminated|Client (?:was closed|has encountered)/.test(error.message))
  );
}
