import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { exists, writeSecretFile } from '../state/file.ts';
import type { SigningKeys } from './keys.ts';
import { startIdentityProvider } from './server.ts';
import { identityProviderSettings } from './settings.ts';

/**
 * The provider as a process of the stack: `node main.ts SETTINGS KEYS`. In a container, where it is found at another address than it listens on:
 * `node main.ts SETTINGS KEYS 0.0.0.0 ISSUER`. Its keys outlive it, so that tokens do. SIGHUP: a new key signs from now on, the old ones stay published.
 */
const [settingsFile = '', keysFile = '', host = '127.0.0.1', issuer] = process.argv.slice(2);
const jwk = z.looseObject({ kty: z.literal('RSA'), kid: z.string() });
const keysSchema = z.tuple([jwk], jwk);

const settings = identityProviderSettings.parse(JSON.parse(await readFile(settingsFile, 'utf8')));
const keys: SigningKeys | undefined = (await exists(keysFile)) ? keysSchema.parse(JSON.parse(await readFile(keysFile, 'utf8'))) : undefined;
const provider = await startIdentityProvider({
  ...settings,
  host,
  ...(issuer === undefined ? {} : { issuer }),
  ...(keys === undefined ? {} : { keys }),
  onKeys: (now) => writeSecretFile(keysFile, `${JSON.stringify(now)}\n`),
});
process.stdout.write(`identity provider at ${provider.issuer}\n`);
process.on('SIGHUP', () => {
  provider.rotateKeys(true).then(
    () => process.stdout.write('a new key signs\n'),
    (error: unknown) => process.stderr.write(`the keys could not be changed: ${String(error)}\n`),
  );
});
process.on('SIGTERM', () => void provider[Symbol.asyncDispose]().then(() => process.exit(0)));
