import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { pino } from 'pino';
import { Agent, request } from 'undici';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { startGateway, type RunningService } from '#services/index.ts';
import { createCa, type MadeCertificate, type TestCa } from '#test/support/certificates.ts';
import { startDnsServer } from '#test/support/dns-server.ts';
import { gatewayConfig, kindOf } from '#test/support/gateway.ts';
import { startInstance, type OwnInstance } from '#test/support/instance.ts';
import { createOrderScene } from '#test/support/order-service.ts';
import { createQueryApiScene, get } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';

type Settings = Readonly<Record<string, unknown>>;
const never = { intervalMs: 3_600_000 };

let ca: TestCa;
let other: TestCa;
let local: MadeCertificate;

before(async () => {
  ca = await createCa();
  other = await createCa();
  local = await ca.issue(['127.0.0.1', 'localhost']);
});
after(async () => {
  await ca[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const filesOf = ({ certFile, keyFile }: MadeCertificate): Settings => ({ certFile, keyFile });

/** A gateway without login. */
async function gatewayTo(context: TestContext, upstream: Settings, others: Settings = {}, logger = silentLogger): Promise<RunningService> {
  const config = gatewayConfig({
    http: { port: 0 },
    monitoring: { port: 0 },
    auth: 'none',
    rateLimit: { requests: 0 },
    upstreams: { api: upstream },
    routes: [{ prefix: '/v1', methods: ['GET', 'POST'], upstream: 'api' }],
    ...others,
  });
  const gateway = await startGateway({ config, logger, signal: new AbortController().signal });
  context.after(() => gateway[Symbol.asyncDispose]());
  return gateway;
}

/** An instance behind TLS, with a certificate of its own. */
async function secureInstance(context: TestContext, certificate: MadeCertificate, host = '127.0.0.1', port = 0): Promise<OwnInstance> {
  const own = await startInstance({
    host,
    port,
    server: (handler) => createServer({ cert: certificate.cert, key: certificate.key }, handler),
  });
  context.after(() => own[Symbol.asyncDispose]());
  return { ...own, url: own.url.replace('http:', 'https:'), received: own.received };
}

async function ask(url: string, trusted: string): Promise<{ readonly status: number; readonly text: string }> {
  const agent = new Agent({ connect: { ca: trusted } });
  try {
    const { statusCode, body } = await request(url, { dispatcher: agent });
    return { status: statusCode, text: await body.text() };
  } finally {
    await agent.destroy();
  }
}

async function reasonOf({ monitoringUrl }: RunningService): Promise<string> {
  const { upstreams } = Object(await (await fetch(`${monitoringUrl}/status`)).json());
  return Object(upstreams)
    .api.map(({ state, reason }: Settings) => `${String(state)} ${String(reason)}`)
    .join();
}

test('each service answers over TLS, on the port of monitoring too, and shows its certificate to nobody who does not trust it', async (context) => {
  const own = await startInstance();
  context.after(() => own[Symbol.asyncDispose]());
  await using scene = await createQueryApiScene();
  await using orders = await createOrderScene();
  const tls = filesOf(local);
  const services = [
    await gatewayTo(context, { urls: [own.url] }, { tls }),
    await scene.start({ tls, monitoring: { port: 0 } }),
    await orders.start({ tls, monitoring: { port: 0 } }),
  ];
  for (const { url, monitoringUrl } of services) {
    for (const [at, path] of [
      [url, '/readyz'],
      [monitoringUrl, '/status'],
    ] as const) {
      assert.match(at, /^https:/);
      assert.equal((await ask(`${at}${path}`, ca.ca)).status, 200, at);
      await assert.rejects(ask(`${at}${path}`, other.ca), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    }
  }
});

test('who speaks plain HTTP to the port of TLS is answered, and nothing is done for him', async (context) => {
  const own = await startInstance();
  context.after(() => own[Symbol.asyncDispose]());
  const gateway = await gatewayTo(context, { urls: [own.url], health: never }, { tls: filesOf(local), requestTimeoutMs: 500 });
  const plain = gateway.url.replace('https:', 'http:');
  const answer = await get({ url: plain }, '/v1/a');
  assert.deepEqual([answer.status, kindOf(answer)], [400, 'bad-request']);
  assert.match(answer.text, /https:/);
  const large = await fetch(`${plain}/v1/a`, { method: 'POST', body: 'x'.repeat(100_000) });
  assert.equal(large.status, 400);
  await large.body?.cancel();
  assert.equal(own.received.length, 0);
  // Who says nothing, or nothing that is a handshake, does not keep a connection.
  for (const first of ['', '\u0016', '\u0016\u0003\u0001\u0000\u0005junk!']) {
    const socket = connect(Number(new URL(plain).port), '127.0.0.1');
    socket.on('error', () => undefined);
    if (first !== '') socket.write(first, 'latin1');
    await once(socket.resume(), 'close');
  }
  assert.equal((await ask(`${gateway.url}/v1/a`, ca.ca)).status, 200);
});

test('a certificate, key or CA that cannot be used ends the start, and the error names its setting and its file', async (context) => {
  const junk = join(ca.folder, 'junk.pem');
  const [broken, missing] = [join(ca.folder, 'broken.pem'), join(ca.folder, 'missing.pem')];
  await writeFile(junk, 'no certificate');
  await writeFile(broken, local.cert.replace(/\n.{20}/, '\n????????????????????'));
  const stranger = await ca.issue(['127.0.0.1']);
  const [certSetting, keySetting, caSetting] = [
    'services.gateway.tls.certFile',
    'services.gateway.tls.keyFile',
    'services.gateway.upstreams.api.caFile',
  ];
  const tries: readonly (readonly [tls: Settings, caFile: string, named: string, file: string])[] = [
    [{ certFile: missing, keyFile: local.keyFile }, ca.caFile, certSetting, missing],
    [{ certFile: local.certFile, keyFile: missing }, ca.caFile, keySetting, missing],
    [{ certFile: ca.folder, keyFile: local.keyFile }, ca.caFile, certSetting, ca.folder],
    [{ certFile: junk, keyFile: local.keyFile }, ca.caFile, certSetting, junk],
    [{ certFile: broken, keyFile: local.keyFile }, ca.caFile, certSetting, broken],
    [{ certFile: local.keyFile, keyFile: local.certFile }, ca.caFile, certSetting, local.keyFile],
    [{ certFile: local.certFile, keyFile: junk }, ca.caFile, keySetting, junk],
    [{ certFile: local.certFile, keyFile: stranger.keyFile }, ca.caFile, keySetting, stranger.keyFile],
    [filesOf(local), missing, caSetting, missing],
    [filesOf(local), junk, caSetting, junk],
    [filesOf(local), local.keyFile, caSetting, local.keyFile],
  ];
  for (const [tls, caFile, setting, file] of tries)
    await assert.rejects(gatewayTo(context, { urls: ['https://127.0.0.1:1'], caFile, health: never }, { tls }), (error) => {
      assert.ok(error instanceof CdcError);
      assert.equal(error.code, 'SERVICE_TLS_INVALID');
      assert.ok(error.message.startsWith(`${setting}: ${file} `), error.message);
      assert.doesNotMatch(error.message, /PRIVATE KEY|BEGIN/);
      return true;
    });
});

test('a certificate that is renewed is shown without a restart; one that cannot be used is logged, and changes nothing', async (context) => {
  let log = '';
  const logger = pino({ level: 'info' }, { write: (line: string) => void (log += line) });
  const own = await ca.issue(['127.0.0.1'], { expired: true });
  const gateway = await gatewayTo(context, { urls: ['http://127.0.0.1:1'], health: never }, { tls: filesOf(own) }, logger);
  assert.match(log, /the certificate has expired/);
  await assert.rejects(ask(`${gateway.url}/livez`, ca.ca), { code: 'CERT_HAS_EXPIRED' });
  await writeFile(own.certFile, 'half of it');
  await eventually(
    () => Promise.resolve(log),
    (now) => now.includes('cannot be used'),
  );
  await assert.rejects(ask(`${gateway.url}/livez`, ca.ca), { code: 'CERT_HAS_EXPIRED' });
  await writeFile(own.keyFile, local.key);
  await writeFile(own.certFile, local.cert);
  for (const { port } of [new URL(gateway.url), new URL(gateway.monitoringUrl)]) {
    await eventually(
      async () => await shownAt(Number(port)),
      (fingerprint) => fingerprint === fingerprintOf(local.cert),
    );
  }
  assert.equal((await ask(`${gateway.url}/livez`, ca.ca)).status, 200);
  assert.doesNotMatch(log, /PRIVATE KEY/);
});

async function shownAt(port: number): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

function fingerprintOf(cert: string): string {
  return new X509Certificate(cert).fingerprint256;
}

test('instances with the right certificate are asked over TLS, and so are their checks', async (context) => {
  const own = await secureInstance(context, local);
  const gateway = await gatewayTo(context, { urls: [own.url], caFile: ca.caFile, health: { intervalMs: 50 } });
  const answer = await get(gateway, '/v1/a');
  assert.equal(answer.status, 200, answer.text);
  assert.equal(own.received.at(-1)?.headers['x-forwarded-proto'], 'http');
  assert.equal(await reasonOf(gateway), 'in null');
  const named = await secureInstance(context, await ca.issue(['api.internal']));
  const byName = await gatewayTo(context, { urls: [named.url], caFile: ca.caFile, serverName: 'api.internal', health: { intervalMs: 50 } });
  assert.equal((await get(byName, '/v1/a')).status, 200);
  assert.equal(await reasonOf(byName), 'in null');
});

for (const [what, reason, settings] of [
  [
    'of an unknown CA',
    /^out its certificate is not trusted \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)/,
    () => ({ certificate: other.issue(['127.0.0.1']) }),
  ],
  [
    'of a CA that was not named',
    /^out its certificate is not trusted \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)/,
    () => ({ certificate: ca.issue(['127.0.0.1']), upstream: {} }),
  ],
  [
    'of another host',
    /^out its certificate is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
    () => ({ certificate: ca.issue(['api.internal', '127.0.0.9']) }),
  ],
  [
    'of another name than the one asked for',
    /^out its certificate is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
    () => ({ certificate: ca.issue(['127.0.0.1']), upstream: { caFile: ca.caFile, serverName: 'api.internal' } }),
  ],
  [
    'that has expired',
    /^out its certificate is not trusted \(CERT_HAS_EXPIRED\)/,
    () => ({ certificate: ca.issue(['127.0.0.1'], { expired: true }) }),
  ],
] satisfies readonly (readonly [
  string,
  RegExp,
  () => { readonly certificate: Promise<MadeCertificate>; readonly upstream?: Settings },
])[]) {
  test(`an instance with a certificate ${what} gets nothing: 502, and /status says why; another instance answers, a write too`, async (context) => {
    const { certificate, upstream = { caFile: ca.caFile } }: { certificate: Promise<MadeCertificate>; upstream?: Settings } = settings();
    const bad = await secureInstance(context, await certificate);
    const alone = await gatewayTo(context, { urls: [bad.url], ...upstream, health: never });
    const answer = await get(alone, '/v1/a');
    assert.deepEqual([answer.status, kindOf(answer)], [502, 'upstream-untrusted'], answer.text);
    assert.match(await reasonOf(alone), reason);
    const checked = await gatewayTo(context, { urls: [bad.url], ...upstream, health: { intervalMs: 50 } });
    await eventually(
      () => reasonOf(checked),
      (now) => reason.test(now),
    );
    assert.equal((await get(checked, '/readyz')).status, 503);
    if (!('caFile' in upstream) || 'serverName' in upstream) return;
    const good = await secureInstance(context, local);
    const both = await gatewayTo(context, { urls: [bad.url, good.url], ...upstream, balance: 'round-robin', health: never });
    for (let index = 0; index < 4; index += 1) assert.equal((await fetch(`${both.url}/v1/a`, { method: 'POST', body: '{}' })).status, 200);
    assert.deepEqual([bad.received.length, good.received.length], [0, 4]);
  });
}

test('an instance that speaks plain HTTP where TLS is asked for cannot be reached', async (context) => {
  const own = await startInstance();
  context.after(() => own[Symbol.asyncDispose]());
  const gateway = await gatewayTo(context, { urls: [own.url.replace('http:', 'https:')], caFile: ca.caFile, health: never });
  const answer = await get(gateway, '/v1/a');
  assert.deepEqual([answer.status, kindOf(answer)], [503, 'upstream-unavailable'], answer.text);
  assert.match(await reasonOf(gateway), /^out .*(?:wrong version number|packet length too long)/i);
  assert.equal(own.received.length, 0);
});

test('instances by DNS have a certificate of the name that was asked for, by SRV of its domain', async (context) => {
  const own = await secureInstance(context, await ca.issue(['api.test']));
  const wrong = await secureInstance(context, await ca.issue(['node.test', '127.0.0.4']), '127.0.0.4', own.port);
  const dns = await startDnsServer({
    'api.test': { addresses: ['127.0.0.1'] },
    'node.test': { addresses: ['127.0.0.1'] },
    'other.test': { addresses: ['127.0.0.4'] },
    '_api._tcp.api.test': { srv: [{ target: 'node.test', port: own.port }] },
  });
  context.after(() => dns[Symbol.asyncDispose]());
  const asked = { scheme: 'https', servers: [dns.address] };
  const common = { caFile: ca.caFile, health: never };
  const byAddress = await gatewayTo(context, { dns: { ...asked, name: 'api.test', port: own.port }, ...common });
  assert.equal((await get(byAddress, '/v1/a')).status, 200);
  const bySrv = await gatewayTo(context, { dns: { ...asked, name: '_api._tcp.api.test', type: 'srv' }, ...common });
  assert.equal((await get(bySrv, '/v1/a')).status, 200);
  const elsewhere = await gatewayTo(context, { dns: { ...asked, name: 'other.test', port: own.port }, ...common });
  assert.equal(kindOf(await get(elsewhere, '/v1/a')), 'upstream-untrusted');
  assert.equal(wrong.received.length, 0);
});

test('settings of TLS where there is none are refused', () => {
  const settings = { auth: 'none', routes: [{ prefix: '/v1', upstream: 'api' }] };
  for (const upstream of [
    { urls: ['http://api'], caFile: 'ca.pem' },
    { urls: ['https://api', 'http://api'], serverName: 'api' },
    { dns: { name: 'api.test', port: 1 }, caFile: 'ca.pem' },
  ])
    assert.throws(() => gatewayConfig({ ...settings, upstreams: { api: upstream } }), /is for https/);
  const tls = { certFile: 'cert.pem', keyFile: 'key.pem' };
  assert.throws(
    () => gatewayConfig({ ...settings, tls, publicUrl: 'http://orders.test', upstreams: { api: { urls: ['http://api'] } } }),
    /its cookies are for TLS alone/,
  );
});
