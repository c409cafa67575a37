import * as z from 'zod';

/** What the sample's identity provider serves. Scopes are those of the services behind the gateway: read, orders:write, monitoring. */
export const identityProviderSettings = z.object({
  port: z.number(),
  /** The audience of access tokens, which is also the resource that a client asks for. */
  audience: z.string(),
  /** Further audiences, for services that take tokens of their own. A client asks for one as `resource`. */
  furtherAudiences: z.array(z.string()).default([]),
  /** `audience`: as providers are that do not know `resource`: every token is for the one audience. */
  resources: z.enum(['asked-for', 'audience']).default('asked-for'),
  /** Whether a login brings a refresh token. */
  refreshTokens: z.boolean().default(true),
  /** Of people's logins: authorization code with PKCE, refresh tokens. */
  gateway: z.object({ clientId: z.string(), secret: z.string(), origins: z.array(z.string()) }),
  /** Of a program: client credentials. */
  program: z.object({ clientId: z.string(), secret: z.string() }),
  users: z.array(z.object({ name: z.string(), password: z.string(), scopes: z.array(z.string()) })),
  accessTokenSeconds: z.number().default(600),
});

export type IdentityProviderSettings = z.output<typeof identityProviderSettings>;
export type IdentityProviderInput = z.input<typeof identityProviderSettings>;
