import { CdcError, describeError, type ErrorCode, type Logger, type ServiceAuthConfig } from '#pipeline/index.ts';

/** How a service begins: under which name it logs, when it ends, what it warns of, and what is no reason not to start. */

export type Beginning = {
  readonly logger: Logger;
  /** Aborting it ends the service, as the signal of whoever started it does. */
  readonly stopping: AbortController;
  /** Of both. */
  readonly until: AbortSignal;
};

/** @param names of the service, in each line of its log */
export function begin(
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
  names: Readonly<Record<string, string>>,
): Beginning {
  const stopping = new AbortController();
  return { logger: logger.child(names), stopping, until: AbortSignal.any([signal, stopping.signal]) };
}

/** @param everybody what everybody may do who reaches the port, with `auth: none` */
export function warnOfOpenDoors({ auth, jwt }: ServiceAuthConfig, everybody: string, logger: Logger): void {
  if (auth === 'none') logger.warn(`auth is none: everybody who reaches this port may ${everybody}`);
  if (jwt?.jwksUrl.startsWith('http:') === true)
    logger.warn('the keys of tokens are fetched without TLS: whoever is in between can make tokens');
}

/** A database that need not be there at the start: requests get 503 until it is. */
export type MayBeAway = {
  readonly look: () => Promise<unknown>;
  /** Of a database that does not answer. Any other error ends the start: only a person can mend it. */
  readonly away: ErrorCode;
  /** What is said of it. */
  readonly warning: string;
};

/** The first look at a database. False: it is away. @throws CdcError as `look` does, but for `away` */
export async function firstLook({ look, away, warning }: MayBeAway, logger: Logger): Promise<boolean> {
  try {
    await look();
    return true;
  } catch (error) {
    if (!(error instanceof CdcError) || error.code !== away) throw error;
    logger.warn({ reason: describeError(error) }, warning);
    return false;
  }
}
