import * as z from 'zod';
import { address, listening } from './listening-settings.ts';
import { int, name } from './plain-settings.ts';

/** What pipeline.yaml says of the gateway. */

const url = z.url({ protocol: /^https?$/ });
const methods = z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);

const oidc = z.strictObject({
  issuer: url.describe('Address of the OpenID provider, as in the iss of its tokens. Use https, except on one machine.'),
  clientId: name.describe('Name of the gateway at the provider.'),
  clientSecret: z.string().default('').describe('As ${NAME}: never in the file.'),
  clientAuthentication: z.enum(['basic', 'post']).default('basic').describe('How the secret is sent: in the header or in the body.'),
  scopes: z
    .array(name)
    .default(['openid', 'profile', 'offline_access', 'read', 'orders:write'])
    .describe('Scopes to ask for. openid is needed; offline_access brings a refresh token at most providers.'),
  resource: name
    .optional()
    .describe('The resource (RFC 8707) that access tokens are for. Some providers call it audience. Default: not sent.'),
  timeoutMs: int(100).default(5000).describe('How long a request to the provider may take.'),
  refreshBeforeMs: int(0)
    .default(30_000)
    .describe('An access token that ends within this time, or within half of its life, is renewed before it is used.'),
});

const session = z.strictObject({
  idleMs: int(1000).default(1_800_000).describe('A session that is not used for this long ends.'),
  lifetimeMs: int(1000).default(43_200_000).describe('Every session ends after this time.'),
  most: int(1, 1_000_000).default(10_000).describe('Most sessions. Beyond it the one that was not used for the longest time ends.'),
});

const dns = z
  .strictObject({
    name: name.describe('Full name to ask for, such as query-api.default.svc.cluster.local. Search domains are not tried.'),
    type: z.enum(['address', 'srv']).default('address').describe('address: A and AAAA records. srv: SRV records, which have ports.'),
    port: int(1, 65_535).optional().describe('Port of the instances, with type: address.'),
    scheme: z.enum(['http', 'https']).default('http').describe('How the instances are spoken to.'),
    servers: z.array(name).default([]).describe('DNS servers, as address or address:port. Default: those of the machine.'),
    refreshMs: int(100).default(10_000).describe('Longest time between two questions. Addresses with a shorter TTL are asked for sooner.'),
  })
  .superRefine(({ type, port }, context) => {
    if (type === 'address' && port === undefined)
      context.addIssue({ code: 'custom', path: ['port'], message: 'type: address needs the port of the instances' });
  });

const health = z.strictObject({
  path: z.string().startsWith('/').default('/readyz').describe('Answers 200 on an instance that can do its work.'),
  intervalMs: int(50).default(2000).describe('Time between two checks of an instance.'),
  timeoutMs: int(50).default(2000).describe('How long a check may take.'),
  failures: int(1, 100)
    .default(2)
    .describe('So many failures in a row, of checks or of requests, take an instance out. One good check brings it back.'),
});

const upstream = z
  .strictObject({
    urls: z.array(url).min(1).optional().describe('Addresses of the instances, without a path.'),
    dns: dns.optional().describe('Where to ask for the instances, in place of urls.'),
    balance: z
      .enum(['least-pending', 'round-robin'])
      .default('least-pending')
      .describe('Which instance a request goes to: the one with the fewest open requests, or each in turn.'),
    audience: name
      .optional()
      .describe(
        'The audience of tokens for this service alone, with auth: oidc. It is asked for as resource (RFC 8707), with the refresh token of the login. Default: oidc.resource.',
      ),
    caFile: name
      .optional()
      .describe(
        'PEM file with the CAs of the instances’ certificates, with https. Those of Node then do not count. Default: those of Node.',
      ),
    serverName: name
      .optional()
      .describe('The name that the certificates of the instances must have. Default: the host of urls; the name that DNS is asked for.'),
    health: health.prefault({}),
    connectTimeoutMs: int(50).default(1000).describe('How long a connection to an instance may take.'),
    answerTimeoutMs: int(100).default(30_000).describe('How long an instance may take until the head of its answer.'),
    idleTimeoutMs: int(100)
      .default(60_000)
      .describe('Longest silence within an answer. A live stream of the query API sends something every 15 s.'),
    pendingMost: int(1, 100_000).default(1000).describe('Most open requests of one instance, live streams included. Beyond it: 503.'),
  })
  .superRefine(({ urls, dns: lookedUp, caFile, serverName }, context) => {
    if ((urls === undefined) === (lookedUp === undefined))
      context.addIssue({ code: 'custom', path: ['urls'], message: 'expected either urls or dns' });
    for (const [index, text] of (urls ?? []).entries())
      if (!/^https?:\/\/[^/?#]+\/?$/.test(text))
        context.addIssue({ code: 'custom', path: ['urls', index], message: 'expected scheme, host and port only' });
    const isPlain = lookedUp === undefined ? urls?.some((text) => !text.startsWith('https:')) : lookedUp.scheme === 'http';
    for (const [setting, value] of Object.entries({ caFile, serverName }))
      if (value !== undefined && isPlain === true)
        context.addIssue({ code: 'custom', path: [setting], message: 'is for https, and these instances are spoken to by http' });
  });

const route = z.strictObject({
  prefix: z
    .string()
    .regex(/^\/(?:[\w.~-]+\/?)*$/)
    .describe('Paths that begin with it go to the upstream, as they are. Longer prefixes go first.'),
  methods: z.array(methods).min(1).default(['GET']).describe('Methods of this route. GET is HEAD too.'),
  upstream: name.describe('A name under upstreams.'),
});

const page = z.strictObject({
  list: z.string().startsWith('/').default('/v1/order_view').describe('Where the page reads orders and their live changes.'),
  change: z
    .string()
    .startsWith('/')
    .nullable()
    .default('/v1/orders')
    .describe('Where it sends the change of an order. null: it only shows.'),
});

export const gateway = z
  .strictObject({
    ...listening('the gateway', 8080),
    monitoring: address('Port of /metrics and /status.')
      .prefault({ port: 8092 })
      .describe('Serves /metrics and /status, without login: not for the outside.'),
    publicUrl: url
      .optional()
      .describe('Where browsers reach the gateway. A login returns there, and writes must come from there. Needed with auth: oidc.'),
    auth: z
      .enum(['none', 'oidc'])
      .describe('oidc: people log in at the provider under oidc. none: nobody logs in, and requests go on as they come.'),
    oidc: oidc.optional(),
    session: session.prefault({}),
    upstreams: z.record(name, upstream).describe('The services behind the gateway, by a name of your own.'),
    routes: z.array(route).min(1).describe('Which paths go to which upstream.'),
    page: page.optional().describe("The sample's page of orders at /. Default: none."),
    bodyLimitBytes: int(0, 64 * 2 ** 20)
      .default(2 ** 20)
      .describe('Largest body. It is read whole before an instance sees any of it.'),
  })
  .superRefine((settings, context) => {
    const { auth, oidc: login, publicUrl, tls, upstreams, routes } = settings;
    const hasOwn = Object.values(upstreams).some(({ audience }) => audience !== undefined);
    if (auth === 'oidc' && login === undefined)
      context.addIssue({ code: 'custom', path: ['oidc'], message: 'auth: oidc needs issuer, clientId and clientSecret here' });
    if (auth === 'oidc' && login?.clientSecret === '')
      context.addIssue({ code: 'custom', path: ['oidc', 'clientSecret'], message: 'expected the secret of the client, as ${NAME}' });
    if (login !== undefined && !login.scopes.includes('openid'))
      context.addIssue({
        code: 'custom',
        path: ['oidc', 'scopes'],
        message: 'expected openid among the scopes: without it nobody says who has logged in',
      });
    if (auth === 'oidc' && publicUrl === undefined)
      context.addIssue({ code: 'custom', path: ['publicUrl'], message: 'auth: oidc needs the address that browsers use' });
    if (publicUrl !== undefined && !/^https?:\/\/[^/?#]+\/?$/.test(publicUrl))
      context.addIssue({ code: 'custom', path: ['publicUrl'], message: 'expected scheme, host and port only' });
    if (tls !== undefined && publicUrl?.startsWith('http:') === true)
      context.addIssue({
        code: 'custom',
        path: ['publicUrl'],
        message: 'expected https: the gateway has tls, and its cookies are for TLS alone',
      });
    for (const [to, { audience }] of Object.entries(upstreams)) {
      if (audience !== undefined && auth === 'none')
        context.addIssue({
          code: 'custom',
          path: ['upstreams', to, 'audience'],
          message: 'is for auth: oidc: without a login there are no tokens',
        });
      if (audience === undefined && login !== undefined && login.resource === undefined && hasOwn)
        context.addIssue({
          code: 'custom',
          path: ['upstreams', to, 'audience'],
          message: 'is needed here too, or oidc.resource: others have one, and a token without a name would be good for any of them',
        });
    }
    for (const [index, { upstream: to, prefix }] of routes.entries()) {
      if (!Object.hasOwn(upstreams, to))
        context.addIssue({
          code: 'custom',
          path: ['routes', index, 'upstream'],
          message: `expected a name of upstreams, of ${Object.keys(upstreams).join(', ')}`,
        });
      if (/^\/(?:auth|assets|livez|readyz)?(?:\/|$)/.test(prefix))
        context.addIssue({ code: 'custom', path: ['routes', index, 'prefix'], message: 'this path is the gateway’s own' });
    }
  });

export type GatewayConfig = z.output<typeof gateway>;
export type UpstreamConfig = z.output<typeof upstream>;
