import { decodeJwt, errors } from 'jose';
import type { ServerMetadata, TokenEndpointResponse, TokenEndpointResponseHelpers } from 'openid-client';
import { CdcError, type GatewayConfig } from '#pipeline/index.ts';
import { Problem } from '../../http/problems.ts';
import type { AccessToken, Audience } from './sessions.ts';

/** Whom access tokens are for: one audience for all services, or some with their own, so that a token for one of them is of no use at another. Does no I/O. */
export type Audiences = {
  /** What a login is for, and its first token. Null: the provider decides. */
  readonly first: Audience;
  /** Every one that is asked for. */
  readonly all: readonly string[];
  /** Of services with one of their own: their tokens must name it. */
  readonly own: ReadonlySet<string>;
  /** Of the tokens for a service. */
  of(upstream: string): Audience;
};

export function audiencesOf({ oidc, upstreams }: Pick<GatewayConfig, 'oidc' | 'upstreams'>): Audiences {
  const common = oidc?.resource ?? null;
  const own = new Set(Object.values(upstreams).flatMap(({ audience }) => (audience === undefined ? [] : [audience])));
  const all = [...new Set([...(common === null ? [] : [common]), ...own])];
  return { first: all[0] ?? null, all, own, of: (name) => upstreams[name]?.audience ?? common };
}

/**
 * Whether a provider can give the tokens: one for each audience comes by the refresh token of the login (RFC 8707, 2.2). Whether it knows `resource`, no
 * provider says beforehand; a token that does not name its audience is not used.
 *
 * @throws CdcError GATEWAY_AUDIENCE_UNSUPPORTED
 */
export function requireAudiences({ all, own }: Audiences, { issuer, grant_types_supported: grants }: Readonly<ServerMetadata>): void {
  if (own.size === 0 || all.length < 2 || grants === undefined || grants.includes('refresh_token')) return;
  throw new CdcError(
    'GATEWAY_AUDIENCE_UNSUPPORTED',
    `${issuer} has no grant refresh_token, and services.gateway asks for tokens of ${all.length} audiences: ${all.join(', ')}`,
  );
}

type Answer = TokenEndpointResponse & Pick<TokenEndpointResponseHelpers, 'expiresIn'>;

/** For a provider that does not say how long a token lives. */
const shortLife = 60;

/** The access token of an answer. A problem where it is for somebody else. */
export function accessTokenOf(answer: Answer, audience: Audience, { own }: Pick<Audiences, 'own'>): AccessToken | Problem {
  if (audience !== null && own.has(audience)) {
    const named = namedIn(answer.access_token);
    if (named !== null && !named.includes(audience))
      return noToken(
        audience,
        new Error(`the provider gave a token for ${named.join(', ') || 'nobody'} when asked for one for ${audience}`),
      );
  }
  const livesMs = (answer.expiresIn() ?? shortLife) * 1000;
  return { token: answer.access_token, expiresAt: Date.now() + livesMs, livesMs };
}

/** The `aud` of a token; null for one that is no JWT, which its service alone can read. */
function namedIn(token: string): readonly string[] | null {
  try {
    const { aud = [] } = decodeJwt(token);
    return typeof aud === 'string' ? [aud] : aud;
  } catch (error) {
    if (error instanceof errors.JWTInvalid) return null;
    throw error;
  }
}

export function noToken(audience: Audience, cause: Error): Problem {
  return new Problem('token-unavailable', `The identity provider gives no token for ${audience ?? 'this service'}.`, { cause });
}
