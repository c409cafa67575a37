import type { MessagePlace } from '#change-events/index.ts';
import { formatTableId } from '#change-events/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { Mirror } from '../mirror.ts';
import type { TopicPartition } from '../positions.ts';

/** The first event of a partition that its mirror has no place for: the source's table is not what the mirror was made for. */
export type Mismatch = TopicPartition & { readonly offset: bigint; readonly error: CdcError };

/** A value that is not of its column's type, or a key column that has none. */
export class ColumnMismatchError extends TypeError {
  override readonly name = 'ColumnMismatchError';
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

/** SQLSTATEs by which Postgres says that a column's type cannot hold a value: its text, its range, its length, its precision. */
const mismatchStates: ReadonlySet<string> = new Set(['22P02', '22007', '22008', '22003', '22001', '42804', '42846']);

export function isMismatch(error: unknown): boolean {
  if (error instanceof ColumnMismatchError) return true;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && mismatchStates.has(error.code);
}

/** The error of a table that stands still, naming the event that its mirror cannot take. */
export function schemaChanged(mirror: Mirror, place: MessagePlace, why: string, cause: unknown): CdcError {
  const { topic, partition, offset } = place;
  return new CdcError(
    'READ_MODEL_SCHEMA_CHANGED',
    `mirror ${mirror.table} of ${formatTableId(mirror.source)} stands still before topic ${topic}, partition ${partition}, offset ${offset}: ${why}`,
    { cause },
  );
}
