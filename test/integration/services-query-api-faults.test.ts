import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { CdcError, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startQueryApi, type RunningService } from '#services/index.ts';
import { queryApiRoles } from '#services/query-api/roles.ts';
import { createQueryApiScene, get, type QueryApiScene } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';

let scene: QueryApiScene;
let api: RunningService;

before(async () => {
  scene = await createQueryApiScene();
  await scene.model.read.query(`INSERT INTO model.customers (id, name) SELECT i, 'customer ' || i FROM generate_series(1, 50) AS i`);
  api = await scene.start();
});
after(() => scene[Symbol.asyncDispose]());

/** What comes back for bytes that no HTTP client would send. */
async function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.setEncoding('utf8').on('data', (data: string) => (answer += data));
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

test('methods that do not read are refused before their body is read: 405 where something is, 404 where nothing is', async () => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const response = await fetch(`${api.url}/v1/customers/1`, { method, body: method === 'DELETE' ? null : '{}' });
    assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD'], method);
    assert.match(await response.text(), /urn:cdc:problem:method-not-allowed/);
  }
  assert.equal((await fetch(`${api.url}/v2`, { method: 'POST', body: '{}' })).status, 404);
  // A body that is announced and never sent: nobody waits for it.
  assert.match(
    await raw(api.url, 'POST /v1/customers HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n'),
    /^HTTP\/1.1 405 [^]*connection: close/i,
  );
});

async function withBody(length: number): Promise<number> {
  const request = httpRequest(`${api.url}/v1/customers`, {
    method: 'GET',
    headers: { 'content-type': 'text/plain', 'content-length': length },
  });
  request.on('error', () => undefined);
  request.write('x'.repeat(Math.min(length, 1000)));
  const [response] = await once(request, 'response');
  response.resume();
  request.destroy();
  return response.statusCode ?? 0;
}

test('a request with a body is refused: 413 for a large one, 415 for any other', async () => {
  assert.deepEqual([await withBody(5), await withBody(10_000_000)], [415, 413]);
});

test('an address that is too long, and what is no HTTP, get a problem document too', async () => {
  assert.match(
    await raw(api.url, `GET /v1/customers?name=${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`),
    /^HTTP\/1.1 431 [^]*headers-too-large/,
  );
  assert.match(await raw(api.url, 'nonsense\r\n\r\n'), /^HTTP\/1.1 400 [^]*bad-request/);
});

test('a request that does not arrive in time is ended, and others are answered meanwhile', async () => {
  const strict = await scene.start({ requestTimeoutMs: 500 });
  const slow = raw(strict.url, 'GET /v1/customers HTTP/1.1\r\nhost: x\r\nx-slow: ');
  assert.equal((await get(strict, '/v1/customers')).status, 200);
  assert.match(await slow, /^HTTP\/1.1 408 [^]*request-timeout/);
});

test('beyond the rate limit: 429 with Retry-After; the health of the server is asked without limit', async () => {
  const limited = await scene.start({ rateLimit: { requests: 3, windowMs: 60_000 } });
  const statuses: number[] = [];
  for (let request = 0; request < 5; request += 1) statuses.push((await get(limited, '/v1/customers?limit=1')).status);
  assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
  const { headers, text } = await get(limited, '/v1/customers');
  assert.match(headers.get('content-type') ?? '', /problem\+json/);
  assert.match(text, /too-many-requests/);
  assert.ok(Number(headers.get('retry-after')) > 0);
  assert.equal((await get(limited, '/livez')).status, 200);
});

test('a query that takes too long is ended by the database: 503', async () => {
  const strict = await scene.start({ statementTimeoutMs: 3000 });
  assert.equal((await get(strict, '/v1/customers?limit=1')).status, 200);
  const { pool } = scene.model.read;
  const holder = await pool.connect();
  try {
    await holder.query('BEGIN; LOCK TABLE model.customers IN ACCESS EXCLUSIVE MODE');
    const { status, text } = await get(strict, '/v1/customers?limit=1');
    assert.equal(status, 503);
    assert.match(text, /query-timeout|model-unavailable/);
    assert.equal((await get(strict, '/v1/orders?limit=1')).status, 200, 'another table is answered');
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
  assert.equal((await get(strict, '/v1/customers?limit=1')).status, 200);
});

test('a read database that is away: 503 with Retry-After, not ready with the reason, alive; and by itself well again', async () => {
  const allow = await scene.model.read.refuseConnections();
  const away = await get(api, '/v1/customers');
  assert.deepEqual([away.status, away.headers.get('retry-after')], [503, '1']);
  assert.doesNotMatch(away.text, /127\.0\.0\.1|api_/);
  const ready = await get(api, '/readyz');
  assert.equal(ready.status, 503);
  assert.match(ready.text, /"ready":false,"reasons":\["read model model cannot be read/);
  assert.equal((await get(api, '/livez')).status, 200);
  assert.match((await get(api, '/metrics')).text, /^cdc_query_api_model_readable 0$/m);
  const late = await scene.start();
  assert.equal((await get(late, '/readyz')).status, 503);
  await allow();
  await eventually(
    async () => (await get(api, '/readyz')).status,
    (status) => status === 200,
  );
  assert.equal((await get(late, '/v1/customers?limit=1')).status, 200);
});

test('/status and /metrics say what is served; on a port of their own they are not beside the API', async () => {
  assert.match(
    (await get(api, '/status')).text,
    /"model":"model".*"ready":true.*"freshness":"unknown".*"name":"customers","kind":"mirror"/,
  );
  assert.equal((await get(api, '/v1/customers?limit=1')).status, 200);
  assert.equal((await get(api, '/v1/nothing')).status, 404);
  assert.match(
    (await get(api, '/metrics')).text,
    /cdc_query_api_requests_total\{route="\/v1\/\{table\}",table="customers",status="200"\} \d+/,
  );
  assert.doesNotMatch((await get(api, '/metrics')).text, /table="nothing"/);
  const apart = await scene.start({ monitoring: { port: 0 } });
  assert.deepEqual(
    [(await get(apart, '/metrics')).status, (await get(apart, '/status')).status, (await get(apart, '/readyz')).status],
    [404, 404, 200],
  );
  const monitoring = { url: apart.monitoringUrl };
  assert.deepEqual(
    [
      (await get(monitoring, '/metrics')).status,
      (await get(monitoring, '/status')).status,
      (await get(monitoring, '/v1/customers')).status,
    ],
    [200, 200, 404],
  );
});

test('a view that halts is as old as that, whatever the model has reached', async () => {
  const { read } = scene.model;
  await read.query(`UPDATE model.freshness SET as_of = clock_timestamp()`);
  await read.query(
    `INSERT INTO model.projection_faults (projection, code, cause, since) VALUES ('order_view', 'READ_MODEL_PROJECTION_FAILED', 'x', clock_timestamp() - interval '1 hour')`,
  );
  // The query API may go on for a moment with what it has read before.
  const { headers } = await eventually(
    () => get(api, '/v1/order_view'),
    (answer) => answer.headers.get('freshness') === 'stale',
  );
  assert.ok(Number(headers.get('staleness-ms')) >= 3_600_000);
  assert.equal((await get(api, '/v1/customers?limit=1')).headers.get('freshness'), 'fresh');
  await read.query('DELETE FROM model.projection_faults; UPDATE model.freshness SET as_of = NULL');
});

test('the role reads the model, and nothing else: what is printed is all that it needs, and each line is needed', async () => {
  const { read } = scene.model;
  const rights = await read.query(
    `SELECT c.relname, string_agg(a.privilege_type, ',') AS may FROM pg_class c, aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
      WHERE r.rolname = $1 GROUP BY 1 ORDER BY 1`,
    [scene.role],
  );
  const own = ['applied_offsets', 'freshness', 'mirrored_tables', 'model_projections', 'model_version', 'projection_faults'];
  const served = ['customers', 'order_items', 'order_view', 'orders', 'products'];
  assert.deepEqual(
    rights.map(({ relname, may }) => `${relname} ${may}`),
    [...own, ...served].toSorted().map((table) => `${table} SELECT`),
  );
  for (const table of [...own, 'customers']) {
    await scene.maintain(`REVOKE SELECT ON model.${table} FROM ${scene.role}`);
    await assert.rejects(scene.start(), (error: unknown) => error instanceof CdcError && error.code === 'QUERY_API_GRANT_MISSING', table);
    await scene.maintain(`GRANT SELECT ON model.${table} TO ${scene.role}`);
  }
  await scene.maintain(`REVOKE USAGE ON SCHEMA model FROM ${scene.role}`);
  await assert.rejects(scene.start(), { code: 'QUERY_API_GRANT_MISSING' });
  assert.match(await queryApiRoles({ config: scene.config(), apply: true, logger: silentLogger }), /may read the 5 tables/);
  await (await scene.start())[Symbol.asyncDispose]();
});

test('a role that may write is refused, and so is a login', async () => {
  for (const [grant, revoke] of [
    [`GRANT UPDATE ON model.customers TO ${scene.role}`, `REVOKE UPDATE ON model.customers FROM ${scene.role}`],
    [`GRANT CREATE ON SCHEMA model TO ${scene.role}`, `REVOKE CREATE ON SCHEMA model FROM ${scene.role}`],
    [`ALTER ROLE ${scene.role} CREATEDB`, `ALTER ROLE ${scene.role} NOCREATEDB`],
    [`GRANT pg_write_all_data TO ${scene.role}`, `REVOKE pg_write_all_data FROM ${scene.role}`],
  ] as const) {
    await scene.maintain(grant);
    await assert.rejects(scene.start(), { code: 'QUERY_API_ROLE_TOO_STRONG' }, grant);
    await scene.maintain(revoke);
  }
  await assert.rejects(scene.start({ password: 'wrong' }), { code: 'QUERY_API_LOGIN_REFUSED' });
});

function startWith(config: PipelineConfig): Promise<RunningService> {
  return startQueryApi({ config, logger: silentLogger, signal: new AbortController().signal });
}

test('what cannot be served is refused at start', async () => {
  await assert.rejects(startWith(scene.model.config), { code: 'SERVICE_NOT_CONFIGURED' });
  await assert.rejects(startWith(scene.config({ model: 'other' })), { code: 'READ_MODEL_NOT_CONFIGURED' });
  await assert.rejects(startWith(scene.config({ http: { port: Number(new URL(api.url).port) } })), { code: 'SERVICE_HTTP_UNAVAILABLE' });
});

test('told to end, it answers what runs and takes nothing more', async () => {
  const ending = await scene.start();
  const { read } = scene.model;
  const holder = await read.pool.connect();
  await holder.query('BEGIN; LOCK TABLE model.customers IN ACCESS EXCLUSIVE MODE');
  const running = get(ending, '/v1/customers?limit=1');
  await eventually(
    () => read.query(`SELECT 1 AS waits FROM pg_locks WHERE NOT granted AND relation = 'model.customers'::regclass`),
    ({ length }) => length === 1,
  );
  const ended = ending[Symbol.asyncDispose]();
  await holder.query('ROLLBACK');
  holder.release();
  assert.equal((await running).status, 200);
  await ended;
  await assert.rejects(get(ending, '/livez'));
});
