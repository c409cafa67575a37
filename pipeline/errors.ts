import { inspect } from 'node:util';
import { maskUrls } from './config/mask.ts';
import type { CatalogueEntry } from './error-catalogue/entry.ts';
import { connectorErrors } from './error-catalogue/connectors.ts';
import { consumerErrors } from './error-catalogue/consumer.ts';
import { generalErrors } from './error-catalogue/general.ts';
import { pollerErrors } from './error-catalogue/poller.ts';
import { readSideErrors } from './error-catalogue/read-side.ts';
import { schemaErrors } from './error-catalogue/schemas.ts';
import { serviceErrors } from './error-catalogue/services.ts';
import { stackErrors } from './error-catalogue/stack.ts';

/**
 * The one catalogue of errors. Every error that a user may meet has a code here, with its cause and its remedy; the code that
 * throws adds the place (file and key, table and column, topic and offset) and the particulars.
 */

/** All codes. Exit codes follow sysexits.h where one fits: 64 usage, 65 data, 69 unavailable, 70 internal, 75 try again, 77 permission, 78 configuration. */
export const errorCatalogue = {
  ...generalErrors,
  ...pollerErrors,
  ...connectorErrors,
  ...readSideErrors,
  ...consumerErrors,
  ...schemaErrors,
  ...serviceErrors,
  ...stackErrors,
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

/**
 * An error with a code of the catalogue. `message` is one sentence that names what and where; `remedy` is what to do (the catalogue's
 * unless a more particular one is given). Never carries a secret.
 */
export class CdcError extends Error {
  override readonly name = 'CdcError';
  readonly code: ErrorCode;
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, options: { readonly remedy?: string; readonly cause?: unknown } = {}) {
    super(maskUrls(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = maskUrls(options.remedy ?? errorCatalogue[code].remedy);
  }

  get exitCode(): number {
    return errorCatalogue[this.code].exitCode;
  }
}

/** For an answer that names a code without being an error. */
export function errorExitCode(code: ErrorCode): number {
  return errorCatalogue[code].exitCode;
}

export function errorRemedy(code: ErrorCode): string {
  return errorCatalogue[code].remedy;
}

/** The text of anything thrown, for a message or a log line; never throws itself. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(describeError).join('; ');
  if (error instanceof Error) return error.message === '' ? error.name : maskUrls(error.message);
  return maskUrls(typeof error === 'string' ? error : inspect(error, { depth: 0 }));
}
