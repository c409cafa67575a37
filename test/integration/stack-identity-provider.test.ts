import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { loadConfig } from '#pipeline/index.ts';
import { resetStack, stackStatus, startStack, stopStack, waitFor, type StackState } from '#stack/index.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';

const folder = await mkdtemp(join(tmpdir(), 'cdc-stack-identity-'));
const signal = AbortSignal.timeout(30 * 60_000);

after(async () => {
  await resetStack(folder);
  await rm(folder, { recursive: true, force: true });
});

const up = (identityProvider: boolean): Promise<StackState> =>
  startStack({ folder, connect: false, throwaway: true, identityProvider, signal });

type Provider = NonNullable<StackState['identityProvider']>;

async function token({ issuer, program }: Provider): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${program.clientId}:${program.secret}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read' }),
  });
  const { access_token: made } = Object(await response.json());
  assert.equal(response.status, 200);
  return String(made);
}

async function accepted({ issuer, audience }: Provider, jwt: string): Promise<boolean> {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  return jwtVerify(jwt, keys, { issuer, audience }).then(
    () => true,
    () => false,
  );
}

function providerOf({ identityProvider }: StackState): Provider {
  return identityProvider ?? assert.fail('no provider');
}

test('an identity provider comes to a stack that runs; its tokens outlive it, a new key signs on SIGHUP, and reset forgets it', async () => {
  const without = await up(false);
  assert.deepEqual([without.identityProvider, without.environment['OIDC_ISSUER']], [undefined, undefined]);
  const first = await up(true);
  for (const { name, pid } of without.processes) assert.equal(first.processes.find((record) => record.name === name)?.pid, pid, name);
  const provider = providerOf(first);
  const old = await token(provider);
  assert.equal(await accepted(provider, old), true);

  const config = await loadConfig(join(repositoryRoot, 'pipeline.yaml'), first.environment);
  const { gateway, queryApi } = config.services ?? {};
  assert.deepEqual([gateway?.auth, queryApi?.auth, gateway?.publicUrl], ['oidc', 'jwt', provider.gatewayUrl]);
  assert.deepEqual(
    [gateway?.oidc?.issuer, queryApi?.jwt?.issuer, queryApi?.jwt?.audience],
    [provider.issuer, provider.issuer, provider.audience],
  );

  const running = first.processes.find(({ name }) => name === 'identity-provider') ?? assert.fail('no process');
  const kid = decodeProtectedHeader(old).kid;
  process.kill(running.pid, 'SIGHUP');
  await waitFor(async () => decodeProtectedHeader(await token(provider)).kid !== kid, {
    signal,
    timeoutMs: 60_000,
    describe: 'another key',
  });
  assert.deepEqual([await accepted(provider, old), await accepted(provider, await token(provider))], [true, true]);

  await stopStack(folder);
  const again = await up(true);
  assert.equal((await stackStatus(folder)).processes.find(({ name }) => name === 'identity-provider')?.status, 'up');
  const kept = providerOf(again);
  assert.deepEqual([kept.program, kept.users], [provider.program, provider.users]);
  if (kept.issuer === provider.issuer) assert.equal(await accepted(kept, old), true);

  for (const file of ['settings.json', 'keys.json'])
    assert.equal((await stat(join(folder, 'identity-provider', file))).mode & 0o077, 0, file);
  const log = await readFile(join(folder, 'logs', 'identity-provider.log'), 'utf8');
  for (const secret of [kept.program.secret, kept.gateway.secret, ...kept.users.map(({ password }) => password)])
    assert.ok(!log.includes(secret));
  await resetStack(folder);
  await assert.rejects(stat(folder), { code: 'ENOENT' });
});
