import type { ErrorCode } from '#pipeline/index.ts';

/** Why a table is not polled. `remedy` is SQL alone, each statement ended by a semicolon, or a sentence. */
export type ShapeFinding = {
  readonly code: UnfitCode;
  readonly message: string;
  readonly remedy: string;
  /** Who can carry out the remedy; by default who edits pipeline.yaml. */
  readonly who?: string;
  /** The column that it is about. */
  readonly column?: string;
};

/** Why a table cannot be polled as it is configured. */
export const unfitCodes = [
  'TABLE_UNKNOWN',
  'TABLE_KIND',
  'TABLE_INHERITED',
  'SCHEMA_USAGE_MISSING',
  'SELECT_MISSING',
  'ROW_SECURITY',
  'COLUMN_UNKNOWN',
  'COLUMN_TYPE_UNFIT',
  'COLUMN_TYPE_UNKNOWN',
  'COLUMN_NULLABLE',
  'KEY_UNFIT',
  'SEQUENCE_UNFIT',
  'SWEEP_KEY_UNFIT',
  'QUERY_INVALID',
] as const satisfies readonly ErrorCode[];

export type UnfitCode = (typeof unfitCodes)[number];

export function isUnfitCode(code: ErrorCode): code is UnfitCode {
  return unfitCodes.some((one) => one === code);
}
