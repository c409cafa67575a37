import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connectClient } from '#connectors/index.ts';
import { testConnectAccess } from '#test/support/connect.ts';

const plugin = 'io.debezium.connector.postgresql.PostgresConnector';

/** A listener in place of a Postgres: what a connector that is validated says to it before it is asked for a password. */
async function listen(): Promise<AsyncDisposable & { readonly port: number; readonly heard: Promise<string> }> {
  const heard = Promise.withResolvers<string>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      // It asks for TLS first, in eight bytes; then it says who it is.
      if (bytes.length === 8) {
        socket.write('N');
        return;
      }
      heard.resolve(bytes.toString('latin1'));
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return {
    port: address.port,
    heard: heard.promise,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

test('whoever has no login is refused, and no variable of the worker is sent anywhere for them', async () => {
  const { url } = await testConnectAccess();
  const anonymous = connectClient({ url });
  await assert.rejects(anonymous.connectors(), { code: 'CONNECT_LOGIN_REFUSED' });
  await assert.rejects(anonymous.validate({ 'connector.class': plugin }), { code: 'CONNECT_LOGIN_REFUSED' });
  assert.equal(await anonymous.isOpen(), false);
  assert.equal(await connectClient({ url, username: 'cdc', password: 'guessed' }).isOpen(), false);
});

test('a connector’s settings are given the variables that are meant for them, and no other of the worker', async () => {
  const client = connectClient(await testConnectAccess());
  await using listener = await listen();
  const settings = {
    'database.hostname': '127.0.0.1',
    'database.port': String(listener.port),
    'database.user': 'home-${env:HOME}-',
    'database.password': 'none',
    'database.dbname': 'name-${env:LEGACY_DB_NAME}-',
    'topic.prefix': 'login',
  };
  const validated = client.validate({ name: 'login', 'connector.class': plugin, ...settings });
  const said = await listener.heard;
  await validated.catch(() => undefined);
  assert.match(said, /name-legacy-/);
  assert.match(said, /home-\$\{env:HOME\}-/);
});
