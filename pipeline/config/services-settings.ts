import * as z from 'zod';
import { gateway } from './gateway-settings.ts';
import { listening } from './listening-settings.ts';
import { int, name } from './plain-settings.ts';

/** What pipeline.yaml says of the services around the pipeline. */

const jwt = z.strictObject({
  issuer: name.describe('The iss that a token must have.'),
  audience: name.describe('The aud that a token must have, or have among others.'),
  jwksUrl: z.url({ protocol: /^https?$/ }).describe('Address of the keys of the issuer (JWKS). Use https, except on one machine.'),
  algorithms: z
    .array(z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']))
    .min(1)
    .default(['RS256', 'PS256', 'ES256', 'EdDSA'])
    .describe('Signature algorithms that are accepted. Algorithms with a shared secret are not.'),
  clockToleranceSeconds: int(0, 300).default(5).describe('How far the clock of the issuer may be off.'),
  jwksTimeoutMs: int(100).default(5000).describe('How long a request for the keys may take.'),
  jwksCooldownMs: int(0)
    .default(30_000)
    .describe('A token with an unknown key makes the keys be fetched again, at most this often. So long a new key may be refused.'),
  jwksMaxAgeMs: int(1000).default(600_000).describe('How long fetched keys are used. So long a withdrawn key may be accepted.'),
});

/** Of every service that is a resource server of OAuth 2. */
const resourceServer = (withoutToken: string) => ({
  auth: z.enum(['none', 'jwt']).describe(`jwt: every request needs a token of the issuer under jwt. none: ${withoutToken}`),
  jwt: jwt.optional(),
});

const queryApi = z
  .strictObject({
    model: name.optional().describe('Name of the read model to serve. Default: the only one under readModel.models.'),
    user: name.describe('Role of the read database. May read the model and nothing else: cdc services roles prints the SQL.'),
    password: z.string().default('').describe('As ${NAME}: never in the file.'),
    connections: int(1, 1000).default(10).describe('Most connections to the read database.'),
    ...listening('the API', 8090),
    ...resourceServer('everybody who reaches the port may read all.'),
    defaultLimit: int(1, 10_000).default(100).describe('Rows of a page when a request does not say.'),
    maxLimit: int(1, 10_000).default(1000).describe('Most rows of a page.'),
    maxAnswerBytes: int(10_000, 256 * 2 ** 20)
      .default(8 * 2 ** 20)
      .describe('Largest answer. A page ends before it; the next begins there.'),
    statementTimeoutMs: int(1).default(5000).describe('Longest time for a query of the read database, and for its wait for a connection.'),
    positionWaitMs: int(0, 60_000).default(5000).describe('How long a request with Min-Position waits for the model.'),
    streams: int(0, 100_000).default(500).describe('Most live streams (server-sent events) at once. 0: none.'),
    streamBufferBytes: int(1000)
      .default(2 ** 20)
      .describe('A client of a live stream that leaves more than this unread is disconnected.'),
  })
  .superRefine(({ auth, jwt: login, defaultLimit, maxLimit }, context) => {
    if (auth === 'jwt' && login === undefined)
      context.addIssue({ code: 'custom', path: ['jwt'], message: 'auth: jwt needs issuer, audience and jwksUrl here' });
    if (defaultLimit > maxLimit)
      context.addIssue({ code: 'custom', path: ['defaultLimit'], message: `expected at most maxLimit (${maxLimit})` });
  });

export const services = z.strictObject({
  queryApi: queryApi.optional().describe('The query API: mirrors and projections of one read model over HTTP.'),
  gateway: gateway.optional().describe('The gateway: one entrance to the services, with login.'),
});
