import { errors, interactionPolicy, Provider, type Configuration, type JWKS } from 'oidc-provider';
import { logoutPage } from './login-page.ts';
import type { IdentityProviderSettings } from './settings.ts';

export type ProviderOptions = {
  readonly issuer: string;
  readonly settings: IdentityProviderSettings;
  /** Private keys. The first signs; all are published. */
  readonly keys: JWKS;
  readonly cookieKey: string;
};

/** Scopes that a client may ask for its access tokens. */
const serviceScopes = 'read orders:write monitoring';

/**
 * oidc-provider as the sample needs it: PKCE for every code, JWT access tokens for the audience that is asked for, refresh tokens that are good for one use, logout. Who may log
 * in is in the settings. Grants, sessions and refresh tokens are in memory, at most 1000 of each, and end with the process.
 */
export function createProvider({ issuer, settings, keys, cookieKey }: ProviderOptions): Provider {
  const { audience, furtherAudiences, resources, refreshTokens, gateway, program, users, accessTokenSeconds } = settings;
  const audiences = [audience, ...furtherAudiences];
  const policy = interactionPolicy.base();
  // Both clients are the sample's own: nobody has to be asked whether they may act for a user.
  policy.remove('consent');
  const configuration: Configuration = {
    clients: [
      {
        client_id: gateway.clientId,
        client_secret: gateway.secret,
        redirect_uris: gateway.origins.map((origin) => `${origin}/auth/callback`),
        post_logout_redirect_uris: gateway.origins.map((origin) => `${origin}/`),
        grant_types: ['authorization_code', ...(refreshTokens ? ['refresh_token'] : [])],
        response_types: ['code'],
      },
      {
        client_id: program.clientId,
        client_secret: program.secret,
        redirect_uris: [],
        grant_types: ['client_credentials'],
        response_types: [],
      },
    ],
    jwks: keys,
    cookies: { keys: [cookieKey] },
    claims: { openid: ['sub'], profile: ['name'] },
    // The name is in the ID token: an access token of the services is none for the provider's userinfo.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ...(refreshTokens
      ? { issueRefreshToken: (_context, client) => Promise.resolve(client.grantTypeAllowed('refresh_token')) }
      : { scopes: ['openid'] }),
    ttl: {
      AccessToken: accessTokenSeconds,
      ClientCredentials: accessTokenSeconds,
      RefreshToken: 43_200,
      IdToken: 3600,
      Interaction: 600,
      Session: 43_200,
      Grant: 43_200,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context, form) => {
          context.body = logoutPage(form);
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => {
          if (resources === 'asked-for' && !audiences.includes(resource)) throw new errors.InvalidTarget();
          return {
            scope: serviceScopes,
            audience: resources === 'audience' ? audience : resource,
            accessTokenFormat: 'jwt',
            accessTokenTTL: accessTokenSeconds,
            jwt: { sign: { alg: 'RS256' } },
          };
        },
      },
    },
    interactions: { policy, url: (_context, { uid }) => `/interaction/${uid}` },
    findAccount: (_context, id) => {
      const user = users.find(({ name }) => name === id);
      return user === undefined ? undefined : { accountId: id, claims: () => ({ sub: id, name: id }) };
    },
    loadExistingGrant: async (context) => {
      const { client, session } = context.oidc;
      const user = users.find(({ name }) => name === session?.accountId);
      if (client === undefined || user === undefined) return undefined;
      const grant = new context.oidc.provider.Grant({ clientId: client.clientId, accountId: user.name });
      grant.addOIDCScope('openid profile offline_access');
      for (const each of audiences) grant.addResourceScope(each, user.scopes.join(' '));
      await grant.save();
      return grant;
    },
    renderError: (context, { error, error_description: description }) => {
      context.type = 'text/plain';
      context.body = `${error}: ${description ?? ''}\n`;
    },
  };
  return new Provider(issuer, configuration);
}
