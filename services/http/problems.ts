/**
 * Errors as requests see them: RFC 9457, the same for every service, so that a kind means the same everywhere. What is wrong on our side is written to the
 * log; a client gets no more than it can use.
 */

const kinds = {
  'bad-request': [400, 'The request cannot be understood'],
  'unknown-parameter': [400, 'A query parameter is unknown'],
  'value-invalid': [400, 'A value is not one of its column'],
  'filter-not-indexed': [400, 'No index serves this filter or order'],
  'cursor-invalid': [400, 'The cursor is not one of this list'],
  'position-invalid': [400, 'Min-Position is not a position or a time'],
  'login-failed': [400, 'The login has failed'],
  unauthorized: [401, 'A valid token is needed'],
  forbidden: [403, 'The token does not allow this'],
  'cross-site': [403, 'The request comes from another site'],
  'not-found': [404, 'There is no such thing'],
  'method-not-allowed': [405, 'The method is not served here'],
  'not-acceptable': [406, 'No such form of the answer'],
  'command-running': [409, 'A command with this Idempotency-Key still runs'],
  conflict: [409, 'The legacy system refuses this'],
  'precondition-failed': [412, 'The thing has changed meanwhile'],
  'request-timeout': [408, 'The request took too long to arrive'],
  'request-too-large': [413, 'The request is too large'],
  'unsupported-media-type': [415, 'A body of this type is not taken here'],
  'answer-too-large': [422, 'A row is larger than an answer may be'],
  'body-invalid': [422, 'The body does not say what the command needs'],
  'reference-unknown': [422, 'Something that the command names does not exist'],
  'idempotency-key-reused': [422, 'The Idempotency-Key belongs to another command'],
  'precondition-required': [428, 'If-Match is needed'],
  'too-many-requests': [429, 'Too many requests'],
  'headers-too-large': [431, 'Headers or address are too long'],
  internal: [500, 'A fault of the server'],
  'token-unavailable': [502, 'The identity provider gives no token for the service'],
  'upstream-untrusted': [502, 'The certificate of a service behind the gateway is not trusted'],
  'upstream-failed': [502, 'A service behind the gateway broke off'],
  'position-not-reached': [503, 'The model has not reached the position yet'],
  'model-unavailable': [503, 'The model cannot be read at present'],
  'query-timeout': [503, 'The query took too long'],
  'too-many-streams': [503, 'There are too many live streams'],
  'legacy-unavailable': [503, 'The legacy system cannot be asked at present'],
  'price-unavailable': [503, 'The price of a product is not known at present'],
  'keys-unavailable': [503, 'Tokens cannot be checked at present'],
  'login-unavailable': [503, 'The identity provider does not answer'],
  'upstream-unavailable': [503, 'No instance of the service can be reached'],
  'upstream-busy': [503, 'All instances of the service are busy'],
  'upstream-timeout': [504, 'The service took too long to answer'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemKind = keyof typeof kinds;

export const problemType = 'application/problem+json; charset=utf-8';

/** `pointer`: a JSON pointer into the body (RFC 6901). */
export type BodyFault = { readonly pointer: string; readonly detail: string };

/** Thrown wherever a request cannot be answered. `detail` is for the client. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly kind: ProblemKind;
  readonly headers: Readonly<Record<string, string>>;
  /** What is wrong where in the body. */
  readonly errors: readonly BodyFault[];

  constructor(
    kind: ProblemKind,
    detail: string,
    options: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly errors?: readonly BodyFault[];
      readonly cause?: unknown;
    } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.errors = options.errors ?? [];
    this.headers = { ...(kinds[kind][0] === 503 ? { 'retry-after': '1' } : {}), ...options.headers };
  }

  get statusCode(): number {
    return kinds[this.kind][0];
  }

  /** The document. */
  body(): string {
    const [status, title] = kinds[this.kind];
    const errors = this.errors.length === 0 ? {} : { errors: this.errors };
    return `${JSON.stringify({ type: problemUri(this.kind), title, status, detail: this.message, ...errors })}\n`;
  }
}

/** The kinds of some names, in the order of the catalogue. */
export function problemsOf(names: ReadonlySet<ProblemKind>): typeof problemKinds {
  return problemKinds.filter(({ kind }) => names.has(kind));
}

/** `urn:cdc:problem:…`: stable, listed in docs/services.md. */
export function problemUri(kind: ProblemKind): string {
  return `urn:cdc:problem:${kind}`;
}

export const problemKinds: readonly { readonly kind: ProblemKind; readonly status: number; readonly title: string }[] =
  problemKindNames().map((kind) => ({
    kind,
    status: kinds[kind][0],
    title: kinds[kind][1],
  }));

function problemKindNames(): readonly ProblemKind[] {
  const isKind = (name: string): name is ProblemKind => Object.hasOwn(kinds, name);
  return Object.keys(kinds).filter(isKind);
}
