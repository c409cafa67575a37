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

function needLogin(auth: 'none' | 'jwt', login: z.output<typeof jwt> | undefined, context: z.RefinementCtx): void {
  if (auth === 'jwt' && login === undefined)
    context.addIssue({ code: 'custom', path: ['jwt'], message: 'auth: jwt needs issuer, audience and jwksUrl here' });
}

const breaker = (what: string) => ({
  failures: int(1, 1000).default(5).describe(`So many failures one after another open the circuit breaker of ${what}.`),
  probeAfterMs: int(10, 600_000)
    .default(5000)
    .describe('How long an open breaker refuses calls at once. Then one call is made, and decides whether it closes.'),
});

/** A dependency of a service, and how long it is waited for. `what`: whose calls. */
const guarded = (what: string, defaults: { readonly timeoutMs: number; readonly concurrent: number; readonly queue: number }) => ({
  timeoutMs: int(10, 60_000).default(defaults.timeoutMs).describe(`Longest time of one call of ${what}.`),
  concurrent: int(1, 1000).default(defaults.concurrent).describe(`Most calls of ${what} at once.`),
  queue: int(0, 10_000)
    .default(defaults.queue)
    .describe(`So many more wait for a place, for timeoutMs at the longest. Others are refused at once.`),
  ...breaker(what),
});

const fallback = z.strictObject({
  model: z
    .strictObject(breaker('the read model'))
    .prefault({})
    .describe(
      'When the read model is not asked any more for a while. A question to it is waited for at most a second longer than statementTimeoutMs.',
    ),
  lastAnswers: z
    .strictObject({
      maxBytes: int(0, 2 ** 34)
        .default(16 * 2 ** 20)
        .describe('Memory for the last good answers. The least recently used go first. 0: none are kept.'),
      maxAnswers: int(1, 1_000_000).default(10_000).describe('Most answers that are kept, pages and rows alike.'),
      maxAgeMs: int(1000, 86_400_000).default(300_000).describe('An answer that is older than this is not given any more.'),
    })
    .prefault({})
    .describe('The last good answer to the same question, marked as stale.'),
  legacy: z
    .strictObject({
      user: name.describe('Role of the legacy database with SELECT only. That of the poller will do.'),
      password: z.string().default('').describe('As ${NAME}: never in the file.'),
      host: name
        .optional()
        .describe(
          'A standby of the legacy database, to be read in its place. How far it is behind is not known. Default: that of legacyDb.',
        ),
      port: int(1, 65_535).optional().describe('Default: that of legacyDb.'),
      ...guarded('the legacy database', { timeoutMs: 1000, concurrent: 4, queue: 16 }),
    })
    .optional()
    .describe('Reads mirrors of one table from the legacy database (Postgres). Default: it is never read.'),
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
    fallback: fallback
      .optional()
      .describe('What answers while the read model cannot be read: the last good answer, then the legacy database. Default: 503.'),
  })
  .superRefine(({ auth, jwt: login, defaultLimit, maxLimit }, context) => {
    needLogin(auth, login, context);
    if (defaultLimit > maxLimit)
      context.addIssue({ code: 'custom', path: ['defaultLimit'], message: `expected at most maxLimit (${maxLimit})` });
  });

const prices = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .describe('Address of the query API that serves the mirror products. It is asked for the price of an item that has none.'),
  ...guarded('the query API', { timeoutMs: 2000, concurrent: 20, queue: 200 }),
  attempts: int(1, 10)
    .default(3)
    .describe('How often it is asked in all, where it cannot be reached or asks for patience (429, 502, 503, 504).'),
  retryDelayMs: int(0, 60_000)
    .default(100)
    .describe('Longest pause before the second attempt; twice as long before each further one. Random within that.'),
  retryAfterMostMs: int(0, 60_000).default(2000).describe('A Retry-After that is longer than this is not waited for.'),
});

const orders = z
  .strictObject({
    user: name.describe('Role of the legacy database with rights on the order tables only: cdc services roles prints the SQL.'),
    password: z.string().default('').describe('As ${NAME}: never in the file.'),
    schema: name
      .default('order_service')
      .describe('Schema of the service in the legacy database. It holds one table, of idempotency keys.'),
    connections: int(1, 1000).default(10).describe('Most connections to the legacy database.'),
    ...listening('the service', 8091),
    ...resourceServer('everybody who reaches the port may change orders.'),
    prices: prices.optional().describe('Where the price of an item comes from that has none. Default: every item must have one.'),
    requireIfMatch: z
      .stringbool()
      .or(z.boolean())
      .default(false)
      .describe('true: PUT, PATCH and DELETE without If-Match are refused (428).'),
    idempotencyKeepMs: int(1000, 30 * 86_400_000)
      .default(86_400_000)
      .describe('How long the answer to a command with an Idempotency-Key is kept and given again.'),
    maxItems: int(1, 1000).default(100).describe('Most items of an order.'),
    maxBodyBytes: int(1000, 16 * 2 ** 20)
      .default(2 ** 18)
      .describe('Largest body of a command.'),
    statementTimeoutMs: int(1)
      .default(5000)
      .describe('Longest time for a statement in the legacy database, and for its wait for a lock or a connection.'),
  })
  .superRefine(({ auth, jwt: login }, context) => needLogin(auth, login, context));

export const services = z.strictObject({
  queryApi: queryApi.optional().describe('The query API: mirrors and projections of one read model over HTTP.'),
  gateway: gateway.optional().describe('The gateway: one entrance to the services, with login.'),
  orders: orders.optional().describe('The order service of the sample: commands on orders in the legacy database.'),
});
