import { problemsOf } from '../../http/problems.ts';

/** The problems that this API answers with, of those of all services. */
export const queryApiProblems = problemsOf(
  new Set([
    'bad-request',
    'unknown-parameter',
    'value-invalid',
    'filter-not-indexed',
    'cursor-invalid',
    'position-invalid',
    'unauthorized',
    'forbidden',
    'not-found',
    'method-not-allowed',
    'not-acceptable',
    'request-timeout',
    'request-too-large',
    'unsupported-media-type',
    'answer-too-large',
    'too-many-requests',
    'headers-too-large',
    'internal',
    'position-not-reached',
    'model-unavailable',
    'query-timeout',
    'too-many-streams',
    'keys-unavailable',
  ]),
);
