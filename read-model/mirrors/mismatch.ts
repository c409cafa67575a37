import type { MessagePlace } from '#change-events/index.ts';
import { formatTableId } from '#change-events/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { Mirror } from './mirror.ts';
import type { TopicPartition } from '#kafka/port.ts';

/** Where a partition halts, and why: mostly its first event that the mirror has no place for. */
export type Mismatch = TopicPartition & { readonly offset: bigint; readonly error: CdcError };

/** A column that the mirror cannot get. */
export class ColumnUnfitError extends TypeError {
  override readonly name = 'ColumnUnfitError';
  /** What to do, where that is more particular than the catalogue's. */
  readonly remedy: string | undefined;

  constructor(why: string, remedy?: string) {
    super(why);
    this.remedy = remedy;
  }
}

/** Thrown inside a transaction that met a mismatch: all of it is rolled back. */
export class MismatchError extends Error {
  override readonly name = 'MismatchError';
  readonly mismatch: Mismatch;

  constructor(mismatch: Mismatch) {
    super(mismatch.error.message);
    this.mismatch = mismatch;
  }
}

/** The error of a table that halts, naming the event that its mirror cannot take. */
export function schemaChanged(mirror: Mirror, place: MessagePlace, why: string, cause: unknown): CdcError {
  const { topic, partition, offset } = place;
  return new CdcError(
    'READ_MODEL_SCHEMA_CHANGED',
    `mirror ${mirror.table} of ${formatTableId(mirror.source)} halts before topic ${topic}, partition ${partition}, offset ${offset}: ${why}`,
    { cause },
  );
}

/** The error of a table that halts before an event with a column that its mirror cannot get. */
export function columnUnfit(mirror: Mirror, place: MessagePlace, cause: ColumnUnfitError): CdcError {
  const { topic, partition, offset } = place;
  return new CdcError(
    'READ_MODEL_COLUMN_UNFIT',
    `mirror ${mirror.table} of ${formatTableId(mirror.source)} cannot take the event at topic ${topic}, partition ${partition}, offset ${offset}: ${cause.message}`,
    cause.remedy === undefined ? { cause } : { cause, remedy: cause.remedy },
  );
}
