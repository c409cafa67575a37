import { CdcError, describeError, type ErrorCode, type PipelineConfig, type PollerTableConfig } from '#pipeline/index.ts';
import type { ProcessFigures } from '../metrics/prometheus.ts';

/** What a thread that polls is started with. */
export type MemberSetup = {
  readonly config: PipelineConfig;
  readonly logger: { readonly name: string; readonly level: string };
  /** Its number, from 2: the first is the main thread. */
  readonly number: number;
  /** Whether anybody hears how long polls took. */
  readonly timesPolls: boolean;
};

export type ToMember =
  | {
      readonly kind: 'offer';
      readonly id: number;
      readonly tables: readonly PollerTableConfig[];
      readonly slots: ReadonlyMap<string, number>;
      readonly refused: ReadonlyMap<string, SentError>;
    }
  | { readonly kind: 'figures'; readonly id: number }
  | { readonly kind: 'end' };

export type FromMember =
  | { readonly kind: 'offered'; readonly id: number; readonly error: SentError | null }
  | { readonly kind: 'figures'; readonly id: number; readonly figures: ProcessFigures }
  | { readonly kind: 'polled'; readonly table: string; readonly seconds: number }
  | { readonly kind: 'failed'; readonly error: SentError };

/** An error between threads, where classes do not go along. `code` is null for what has none. */
export type SentError = { readonly code: ErrorCode | null; readonly message: string; readonly remedy: string };

export function sentError(error: unknown): SentError {
  return error instanceof CdcError
    ? { code: error.code, message: error.message, remedy: error.remedy }
    : { code: null, message: describeError(error), remedy: '' };
}

export function receivedError({ code, message, remedy }: SentError): Error {
  return code === null ? new Error(message) : new CdcError(code, message, { remedy });
}
