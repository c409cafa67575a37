import type * as z from 'zod';
import type { CallContext } from '../http/request-ids.ts';

/** One question to another service. */
export type Call<Answer> = {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the base address, with its query: `/v1/products/7?fields=price`. */
  readonly path: string;
  /** What the body of a good answer is. Another body is a failure of the other service. */
  readonly answer: z.ZodType<Answer>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly context: CallContext;
  readonly signal: AbortSignal;
};

export type CallAnswer<Answer> = { readonly status: number; readonly headers: Headers; readonly body: Answer };

/** Why there is no answer. `status`: the other service refused, with a status of 400 or more. `open` and `busy`: it was not asked. */
export type FailureKind = 'unreachable' | 'timeout' | 'open' | 'busy' | 'status' | 'answer-invalid';

export class CallFailed extends Error {
  override readonly name = 'CallFailed';
  readonly kind: FailureKind;
  /** Of `status`. */
  readonly status: number | null;
  /** How long the other service asks to be left alone. */
  readonly retryAfterMs: number | null;

  constructor(
    kind: FailureKind,
    detail: string,
    options: { readonly status?: number; readonly retryAfterMs?: number | null; readonly cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.status = options.status ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}
