import * as client from 'openid-client';
import { describeError, type GatewayConfig, type Logger } from '#pipeline/index.ts';
import { Problem } from '../../http/problems.ts';
import type { Tokens } from './sessions.ts';

export type Oidc = NonNullable<GatewayConfig['oidc']>;

/** What the browser must bring back, kept until then in its own sealed cookie. */
export type LoginChecks = { readonly state: string; readonly nonce: string; readonly verifier: string };

/** The OpenID provider, as its client. Every function asks it for `timeoutMs` at the longest. */
export type IdentityProvider = {
  /** Where a login begins. @throws Problem login-unavailable */
  loginUrl(checks: LoginChecks): Promise<string>;
  /** Exchanges the code of a callback. @throws Problem login-failed, login-unavailable */
  finishLogin(callback: URL, checks: LoginChecks): Promise<{ readonly subject: string; readonly name: string; readonly tokens: Tokens }>;
  /** New tokens. Null: the provider gives no more for this login. @throws Problem login-unavailable */
  refresh(tokens: Tokens): Promise<Tokens | null>;
  /** Where the login at the provider ends; null where that is not known. Revokes the refresh token. Never throws. */
  endLogin(tokens: Tokens): Promise<string | null>;
  /** Whether its description has been read. */
  readonly isKnown: boolean;
};

/** How often a provider that does not answer is asked again, at the most. */
const againMs = 1000;
/** For a provider that does not say how long a token lives. */
const shortLife = 60;

/** @param publicUrl where browsers reach the gateway */
export function openProvider(oidc: Oidc, publicUrl: string, logger: Logger): IdentityProvider {
  const { issuer, clientId, clientSecret, clientAuthentication, scopes, resource, timeoutMs } = oidc;
  const redirectUri = new URL('/auth/callback', publicUrl).href;
  let known: client.Configuration | null = null;
  let asking: Promise<client.Configuration> | null = null;
  let failedAt = Number.NEGATIVE_INFINITY;
  const discover = async (): Promise<client.Configuration> => {
    const authentication =
      clientAuthentication === 'basic' ? client.ClientSecretBasic(clientSecret) : client.ClientSecretPost(clientSecret);
    const found = await client.discovery(new URL(issuer), clientId, undefined, authentication, {
      timeout: timeoutMs / 1000,
      // Only for a provider on this machine: a warning is logged at the start.
      ...(issuer.startsWith('http:') ? { execute: [client.allowInsecureRequests] } : {}),
    });
    found.timeout = timeoutMs / 1000;
    known = found;
    return found;
  };
  const configuration = async (): Promise<client.Configuration> => {
    if (known !== null) return known;
    if (asking === null && performance.now() - failedAt < againMs) throw unavailable();
    asking ??= discover().finally(() => (asking = null));
    try {
      return await asking;
    } catch (error) {
      failedAt = performance.now();
      throw unavailable(error);
    }
  };
  const parameters = resource === undefined ? {} : { resource };
  return {
    get isKnown() {
      return known !== null;
    },
    async loginUrl({ state, nonce, verifier }) {
      return client.buildAuthorizationUrl(await configuration(), {
        ...parameters,
        redirect_uri: redirectUri,
        scope: scopes.join(' '),
        state,
        nonce,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }).href;
    },
    async finishLogin(callback, { state, nonce, verifier }) {
      const config = await configuration();
      try {
        const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
        const answer = await client.authorizationCodeGrant(config, callback, checks, parameters);
        const claims = answer.claims();
        const { id_token: idToken } = answer;
        if (claims === undefined || idToken === undefined) throw new Problem('login-failed', 'The provider has sent no ID token.');
        const name = [claims['name'], claims['preferred_username'], claims.sub].find((each) => typeof each === 'string');
        return { subject: claims.sub, name: typeof name === 'string' ? name : claims.sub, tokens: tokensOf(answer, idToken, null) };
      } catch (error) {
        if (error instanceof Problem) throw error;
        if (isAway(error)) throw unavailable(error);
        // The reason is logged alone: in a query or an answer of the provider there may be secrets.
        throw new Problem('login-failed', 'The provider has refused this login, or it was begun elsewhere. Begin again.', { cause: error });
      }
    },
    async refresh({ refreshToken, idToken }) {
      if (refreshToken === null) return null;
      const config = await configuration();
      try {
        const answer = await client.refreshTokenGrant(config, refreshToken, parameters);
        return tokensOf(answer, answer.id_token ?? idToken, refreshToken);
      } catch (error) {
        if (isAway(error)) throw unavailable(error);
        logger.info({ reason: describeError(error) }, 'the provider gives a session no more tokens');
        return null;
      }
    },
    async endLogin({ refreshToken, idToken }) {
      try {
        const config = await configuration();
        if (refreshToken !== null && config.serverMetadata().revocation_endpoint !== undefined)
          await client.tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' });
        if (config.serverMetadata().end_session_endpoint === undefined) return null;
        const back = { post_logout_redirect_uri: new URL('/', publicUrl).href, id_token_hint: idToken };
        return client.buildEndSessionUrl(config, back).href;
      } catch (error) {
        logger.warn({ reason: describeError(error) }, 'a login could not be ended at the provider');
        return null;
      }
    },
  };
}

type Answer = client.TokenEndpointResponse & client.TokenEndpointResponseHelpers;

function tokensOf(answer: Answer, idToken: string, refreshBefore: string | null): Tokens {
  const accessLivesMs = (answer.expiresIn() ?? shortLife) * 1000;
  return {
    accessToken: answer.access_token,
    accessExpiresAt: Date.now() + accessLivesMs,
    accessLivesMs,
    // A provider that does not change it sends none.
    refreshToken: answer.refresh_token ?? refreshBefore,
    idToken,
  };
}

/** Of the way to the provider, or of the provider itself: not an answer to what was asked. */
function isAway(error: unknown): boolean {
  if (error instanceof client.ResponseBodyError) return error.status >= 500;
  if (error instanceof client.AuthorizationResponseError) return false;
  if (error instanceof TypeError && /fetch failed/.test(error.message)) return true;
  if (error instanceof client.ClientError && error.cause instanceof Response) return error.cause.status >= 500;
  return error instanceof Error && (error.name === 'TimeoutError' || ('code' in error && error.code === 'OAUTH_TIMEOUT'));
}

function unavailable(cause?: unknown): Problem {
  return new Problem(
    'login-unavailable',
    'The identity provider does not answer at present. Try again soon.',
    cause === undefined ? {} : { cause },
  );
}
