import { once } from 'node:events';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';

/** An issuer of tokens whose keys are served over HTTP, as an identity provider serves them. */
export type TokenIssuer = AsyncDisposable & {
  readonly issuer: string;
  readonly jwksUrl: string;
  /** How often the keys were fetched. */
  readonly fetches: number;
  /** The public key that signs now. */
  readonly publicKey: JWK;
  /** A token; claims and header over those of a good one. `null`: left out. */
  token(claims?: Readonly<Record<string, unknown>>, options?: { readonly key?: CryptoKey; readonly alg?: string }): Promise<string>;
  /** Signs with a new key from now on. `keepOld`: the old one is still served. */
  rotate(keepOld: boolean): Promise<void>;
  /** From now on the keys' address answers with this status; 200 for the keys. */
  answerWith(status: number): void;
};

export const audience = 'query-api';

export async function startTokenIssuer(): Promise<TokenIssuer> {
  let keys: readonly JWK[] = [];
  let signing: { readonly privateKey: CryptoKey; readonly publicKey: JWK; readonly kid: string } | null = null;
  let fetches = 0;
  let status = 200;
  let made = 0;
  const rotate = async (keepOld: boolean): Promise<void> => {
    made += 1;
    const kid = `key-${made}`;
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const served = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' };
    signing = { privateKey, publicKey: served, kid };
    keys = [...(keepOld ? keys : []), served];
  };
  await rotate(false);
  const server = createServer((_request, response) => {
    fetches += 1;
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const issuer = `http://127.0.0.1:${port}`;
  const current = (): NonNullable<typeof signing> => {
    if (signing === null) throw new TypeError('no key');
    return signing;
  };
  return {
    issuer,
    jwksUrl: `${issuer}/jwks.json`,
    get fetches() {
      return fetches;
    },
    get publicKey() {
      return current().publicKey;
    },
    async token(claims = {}, { key, alg = 'RS256' } = {}) {
      const now = Math.floor(Date.now() / 1000);
      const payload: JWTPayload = { iss: issuer, aud: audience, exp: now + 600, iat: now, scope: 'read', ...claims };
      for (const [name, value] of Object.entries(claims)) if (value === null) delete payload[name];
      return new SignJWT(payload).setProtectedHeader({ alg, kid: current().kid }).sign(key ?? current().privateKey);
    },
    rotate,
    answerWith: (next) => (status = next),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
