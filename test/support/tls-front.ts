import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';

/** A way to a real server that has neither: HTTPS with a certificate of its own, and a login. */
export type TlsFront = AsyncDisposable & {
  /** Where the server's URL leads now. */
  readonly url: string;
  /** The CA to trust for it. */
  readonly caFile: string;
};

/** Ends TLS, asks for basic auth, and hands requests on unchanged, as a proxy of an operations team does. */
export async function createTlsFront(target: string, login: { readonly username: string; readonly password: string }): Promise<TlsFront> {
  const folder = join(import.meta.dirname, '..', 'fixtures', 'tls');
  const caFile = join(folder, 'cert.pem');
  const [cert, key] = await Promise.all([readFile(caFile), readFile(join(folder, 'key.pem'))]);
  const wanted = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  const server = createServer({ cert, key }, (incoming, outgoing) => {
    if (incoming.headers.authorization !== wanted) {
      outgoing.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' }).end('Unauthorised');
      return;
    }
    const { authorization: _used, ...headers } = incoming.headers;
    const onward = request(new URL(incoming.url ?? '/', target), { method: incoming.method, headers });
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  return {
    url: `https://127.0.0.1:${address.port}${new URL(target).pathname}`,
    caFile,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
