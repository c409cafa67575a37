import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectClient } from '#connectors/index.ts';
import { pipelineSchema } from '#pipeline/index.ts';

/** What a real Connect answers only at unlucky moments: rebalance, proxy pages, refusals. */
async function answering(listener: RequestListener): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const { port } = address satisfies AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const rebalance = '{"error_code":409,"message":"Cannot complete request momentarily due to a rebalance"}';

test('a request is repeated while the workers rebalance', async () => {
  let asked = 0;
  await using server = await answering((_request, response) => {
    asked += 1;
    if (asked < 3) response.writeHead(409).end(rebalance);
    else response.end('["orders"]');
  });
  assert.deepEqual(await connectClient(server).connectors(), ['orders']);
  assert.equal(asked, 3);
});

test('a rebalance that comes as a 500 is waited for too; another 500 is not', async () => {
  let asked = 0;
  await using server = await answering((request, response) => {
    asked += 1;
    const broken = request.url === '/';
    if (broken) response.writeHead(500).end('{"error_code":500,"message":"it broke"}');
    else if (asked < 3)
      response.writeHead(500).end('{"error_code":500,"message":"Request cannot be completed because a rebalance is expected"}');
    else response.end('["orders"]');
  });
  assert.deepEqual(await connectClient(server).connectors(), ['orders']);
  assert.equal(asked, 3);
  await assert.rejects(connectClient(server).info(), { code: 'CONNECT_REQUEST_REFUSED' });
  assert.equal(asked, 4);
});

test('no answer is one error with address and remedy', async () => {
  let url = '';
  {
    await using server = await answering(() => undefined);
    url = server.url;
  }
  await assert.rejects(connectClient({ url }).connectors(), {
    code: 'CONNECT_UNREACHABLE',
    message: /Kafka Connect at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/,
    remedy: /cdc stack up/,
  });
});

test('user and password are sent, a refusal is reported without them', async () => {
  const seen: (string | undefined)[] = [];
  await using server = await answering((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(401).end();
  });
  const asked = connectClient({ url: server.url, username: 'me', password: 'hunter2' }).connectors();
  await assert.rejects(
    asked,
    (error: Error) => 'code' in error && error.code === 'CONNECT_LOGIN_REFUSED' && !error.message.includes('hunter2'),
  );
  assert.deepEqual(seen, [`Basic ${Buffer.from('me:hunter2').toString('base64')}`]);
});

test('over TLS: a server of an unknown CA is refused, one of connect.tls.caFile is asked with user and password', async () => {
  const folder = join(import.meta.dirname, '..', 'fixtures', 'tls');
  const caFile = join(folder, 'cert.pem');
  const options = { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(caFile) };
  const seen: (string | undefined)[] = [];
  const server = createTlsServer(options, (request, response) => {
    seen.push(request.headers.authorization);
    response.end('["orders"]');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const url = `https://127.0.0.1:${address.port}`;
    await assert.rejects(connectClient({ url }).connectors(), {
      code: 'CONNECT_UNREACHABLE',
      message: /self-signed certificate/,
      remedy: /connect\.tls\.caFile/,
    });
    const connect = pipelineSchema.shape.connect.parse({ url, username: 'me', password: 'p', tls: { caFile } });
    assert.ok(connect);
    assert.deepEqual(await connectClient(connect).connectors(), ['orders']);
    assert.deepEqual(seen, ['Basic bWU6cA==']);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("Connect's error and a proxy's page both become one short sentence", async () => {
  await using server = await answering((request, response) => {
    if (request.url === '/connectors') response.writeHead(502).end(`<html><h1>Bad\n gateway</h1>${' '.repeat(5000)}</html>`);
    else response.writeHead(500).end('{"error_code":500,"message":"it\\n broke"}');
  });
  const client = connectClient(server);
  await assert.rejects(client.connectors(), { code: 'CONNECT_REQUEST_REFUSED', message: /with 502: Bad gateway$/ });
  await assert.rejects(client.status('orders'), { code: 'CONNECT_REQUEST_REFUSED', message: /with 500: it broke$/ });
});

test('what is not there is null, or an error that names it', async () => {
  await using server = await answering((_request, response) => response.writeHead(404).end('{"error_code":404,"message":"not found"}'));
  const client = connectClient(server);
  assert.equal(await client.config('orders'), null);
  assert.equal(await client.status('orders'), null);
  await assert.rejects(client.restart('orders'), { code: 'CONNECTOR_NOT_FOUND', message: /no connector orders/ });
});

test('an address that answers, but is not that of Connect, is reported so', async () => {
  await using server = await answering((_request, response) => response.writeHead(404).end('nginx'));
  const client = connectClient(server);
  const expected = {
    code: 'CONNECT_UNREACHABLE',
    message: /answers, but knows no GET \/.* \(404\): it is not Kafka Connect's REST address$/,
  };
  await assert.rejects(client.info(), expected);
  await assert.rejects(client.connectors(), expected);
  await assert.rejects(client.configs(), expected);
});

test('a class that the worker does not have is reported with those that it has; another refusal stays as it is', async () => {
  const plugins = [
    { class: 'io.debezium.connector.postgresql.PostgresConnector', type: 'source', version: '3' },
    { class: 'org.example.FileSink', type: 'sink', version: '3' },
  ];
  await using server = await answering((request, response) => {
    if (request.url === '/connector-plugins') response.end(JSON.stringify(plugins));
    else response.writeHead(500).end('{"error_code":500,"message":"it broke"}');
  });
  const client = connectClient(server);
  await assert.rejects(client.validate({ 'connector.class': 'io.debezium.PostgresConector' }), {
    code: 'CONNECTOR_CONFIG_INVALID',
    message:
      /has no plugin io\.debezium\.PostgresConector \(sources that it has: io\.debezium\.connector\.postgresql\.PostgresConnector\)$/,
    remedy: /plugin\.path/,
  });
  for (const known of ['io.debezium.connector.postgresql.PostgresConnector', 'PostgresConnector', 'Postgres']) {
    await assert.rejects(client.validate({ 'connector.class': known }), { code: 'CONNECT_REQUEST_REFUSED', message: /it broke/ });
  }
});

test('an abort ends the wait for a rebalance', async () => {
  await using server = await answering((_request, response) => response.writeHead(409).end(rebalance));
  await assert.rejects(connectClient(server).connectors(AbortSignal.timeout(300)));
});
