import * as client from 'openid-client';
import { CdcError, describeError, type GatewayConfig, type Logger } from '#pipeline/index.ts';
import { Problem } from '../../http/problems.ts';
import { accessTokenOf, noToken, requireAudiences, type Audiences } from './audiences.ts';
import type { Audience, Tokens } from './sessions.ts';

export type Oidc = NonNullable<GatewayConfig['oidc']>;

/** What the browser must bring back, kept until then in its own sealed cookie. */
export type LoginChecks = { readonly state: string; readonly nonce: string; readonly verifier: string };

/** The OpenID provider, as its client. Every function asks it for `timeoutMs` at the longest. */
export type IdentityProvider = {
  /** Where a login begins. @throws Problem login-unavailable */
  loginUrl(checks: LoginChecks): Promise<string>;
  /** Exchanges the code of a callback. @throws Problem login-failed, login-unavailable, token-unavailable */
  finishLogin(callback: URL, checks: LoginChecks): Promise<{ readonly subject: string; readonly name: string; readonly tokens: Tokens }>;
  /**
   * The tokens with a new one for this audience. Null: the provider gives no more for this login. `refused`: there is none for this audience, and the other
   * tokens are to be kept nevertheless.
   *
   * @throws Problem login-unavailable, token-unavailable
   */
  refresh(tokens: Tokens, audience: Audience): Promise<{ readonly tokens: Tokens; readonly refused: Problem | null } | null>;
  /** Where the login at the provider ends; null where that is not known. Revokes the refresh token. Never throws. */
  endLogin(tokens: Tokens): Promise<string | null>;
  /** Asks for its description now. A provider that does not answer is no error. @throws CdcError GATEWAY_AUDIENCE_UNSUPPORTED */
  check(): Promise<void>;
  /** Whether its description has been read. */
  readonly isKnown: boolean;
};

/** How often a provider that does not answer is asked again, at the most. */
const againMs = 1000;

/** @param publicUrl where browsers reach the gateway */
export function openProvider(oidc: Oidc, audiences: Audiences, publicUrl: string, logger: Logger): IdentityProvider {
  const { issuer, clientId, clientSecret, clientAuthentication, scopes, timeoutMs } = oidc;
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
    requireAudiences(audiences, found.serverMetadata());
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
  return {
    async check() {
      try {
        await configuration();
      } catch (error) {
        if (error instanceof Problem && error.cause instanceof CdcError) throw error.cause;
        logger.warn({ reason: describeError(error) }, 'the provider does not answer: nobody can log in until it does');
      }
    },
    get isKnown() {
      return known !== null;
    },
    async loginUrl({ state, nonce, verifier }) {
      const parameters = new URLSearchParams({
        redirect_uri: redirectUri,
        scope: scopes.join(' '),
        state,
        nonce,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      });
      // All that tokens will be asked for: a login is good for no other.
      for (const audience of audiences.all) parameters.append('resource', audience);
      return client.buildAuthorizationUrl(await configuration(), parameters).href;
    },
    async finishLogin(callback, { state, nonce, verifier }) {
      const config = await configuration();
      try {
        const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
        const answer = await client.authorizationCodeGrant(config, callback, checks, parametersOf(audiences.first));
        const claims = answer.claims();
        const { id_token: idToken } = answer;
        if (claims === undefined || idToken === undefined) throw new Problem('login-failed', 'The provider has sent no ID token.');
        const name = [claims['name'], claims['preferred_username'], claims.sub].find((each) => typeof each === 'string');
        const access = accessTokenOf(answer, audiences.first, audiences);
        if (access instanceof Problem) throw access;
        const tokens = { access: new Map([[audiences.first, access]]), refreshToken: answer.refresh_token ?? null, idToken };
        return { subject: claims.sub, name: typeof name === 'string' ? name : claims.sub, tokens };
      } catch (error) {
        if (error instanceof Problem) throw error;
        if (isAway(error)) throw unavailable(error);
        // The reason is logged alone: in a query or an answer of the provider there may be secrets.
        throw new Problem('login-failed', 'The provider has refused this login, or it was begun elsewhere. Begin again.', {
          cause: withCode(error),
        });
      }
    },
    async refresh({ access, refreshToken, idToken }, audience) {
      if (refreshToken === null && access.has(audience)) return null;
      if (refreshToken === null) throw noToken(audience, new Error('the provider gave no refresh token with the login'));
      const config = await configuration();
      try {
        const answer = await client.refreshTokenGrant(config, refreshToken, parametersOf(audience));
        // A provider that does not change it sends none.
        const tokens = { access, refreshToken: answer.refresh_token ?? refreshToken, idToken: answer.id_token ?? idToken };
        const given = accessTokenOf(answer, audience, audiences);
        if (given instanceof Problem) return { tokens, refused: given };
        return { tokens: { ...tokens, access: new Map([...access, [audience, given]]) }, refused: null };
      } catch (error) {
        if (isAway(error)) throw unavailable(error);
        if (error instanceof client.ResponseBodyError && error.error === 'invalid_target') throw noToken(audience, error);
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

function parametersOf(audience: Audience): Record<string, string> {
  return audience === null ? {} : { resource: audience };
}

/** A refusal with its code (RFC 6749, 4.1.2.1), and nothing else of what was in the address. */
function withCode(error: unknown): unknown {
  if (!(error instanceof client.AuthorizationResponseError) || !/^\w{1,64}$/.test(error.error)) return error;
  return new Error(`the provider refuses the login: ${error.error}`, { cause: error });
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
