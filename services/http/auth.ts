import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';
import type { ServiceAuthConfig } from '#pipeline/index.ts';
import { Problem } from './problems.ts';

/** What the bearer of a request may do. */
export type Grant = {
  /** Whether the token has this scope. */
  has(scope: string): boolean;
  /** The `sub` of the token; null where it has none, or where no token is needed. */
  readonly subject: string | null;
  /** ms since the epoch; null: never. */
  readonly expiresAt: number | null;
};

/** @throws Problem unauthorized, keys-unavailable */
export type Authenticate = (authorization: string | undefined) => Promise<Grant>;

/** Faults of the keys' address, and not of the token. */
const keysFaults: ReadonlySet<string> = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']);

const bearer = /^Bearer +(?<token>[\w-]+\.[\w-]+\.[\w-]*)$/i;

/**
 * The resource server of OAuth 2: who asks shows a token of the issuer. Its signature is checked by the issuer's published keys, by an algorithm of the list
 * alone, whatever the token says of itself; issuer, audience and expiry must be there and right. With `auth: none` everybody has every scope.
 */
export function createAuthenticate({ auth, jwt }: ServiceAuthConfig): Authenticate {
  if (auth === 'none' || jwt === undefined) return () => Promise.resolve({ has: () => true, subject: null, expiresAt: null });
  const { issuer, audience, algorithms, clockToleranceSeconds, jwksUrl, jwksTimeoutMs, jwksCooldownMs, jwksMaxAgeMs } = jwt;
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    timeoutDuration: jwksTimeoutMs,
    cooldownDuration: jwksCooldownMs,
    cacheMaxAge: jwksMaxAgeMs,
  });
  const options = { issuer, audience, algorithms: [...algorithms], clockTolerance: clockToleranceSeconds, requiredClaims: ['exp'] };
  return async (authorization) => {
    const { token } = bearer.exec(authorization ?? '')?.groups ?? {};
    if (token === undefined) {
      const why =
        authorization === undefined ? 'The header Authorization: Bearer … is missing.' : 'Authorization is not Bearer and a token.';
      throw refused(why, authorization === undefined ? null : 'invalid_request');
    }
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, keys, options));
    } catch (error) {
      if (!(error instanceof errors.JOSEError) || keysFaults.has(error.code))
        throw new Problem('keys-unavailable', 'The keys of the issuer cannot be fetched.', {
          cause: error,
          headers: { 'retry-after': '5' },
        });
      throw refused(whyRefused(error), 'invalid_token');
    }
    const scopes = scopesOf(payload);
    return {
      has: (scope) => scopes.has(scope),
      subject: payload.sub ?? null,
      expiresAt: payload.exp === undefined ? null : payload.exp * 1000,
    };
  };
}

/** @throws Problem forbidden */
export function requireScope(allowed: boolean, scope: string): void {
  if (allowed) return;
  throw new Problem('forbidden', `The token lacks the scope ${scope}.`, {
    headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
  });
}
/** RFC 6749 has a text in `scope`; some issuers a list, or `scp`. */
function scopesOf({ scope, scp }: JWTPayload): ReadonlySet<string> {
  const listed = [scope, scp].flatMap((value) => (Array.isArray(value) ? value : [value]));
  return new Set(listed.flatMap((value) => (typeof value === 'string' ? value.split(' ') : [])));
}

function refused(detail: string, error: string | null): Problem {
  const challenge = error === null ? 'Bearer' : `Bearer error="${error}"`;
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': challenge } });
}

/** Never what the token says: it may be somebody else's. */
function whyRefused(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'The token has expired.';
  if (error instanceof errors.JWTClaimValidationFailed) return `The claim ${error.claim} of the token is missing or not the expected one.`;
  if (error instanceof errors.JOSEAlgNotAllowed) return 'The algorithm of the token is not allowed.';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'The signature of the token is wrong.';
  if (error instanceof errors.JWKSNoMatchingKey) return 'The issuer has no such key.';
  return 'The token is not a valid JWT.';
}
