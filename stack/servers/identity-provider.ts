import { mkdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { CdcError, installLine } from '#pipeline/index.ts';
import { answersAt } from '../answers-at.ts';
import type { IdentityProviderInput } from '../identity-provider/settings.ts';
import type { ServerSpec } from '../processes/server-process.ts';
import { writeSecretFile } from '../state/file.ts';

export type IdentityProviderServerOptions = {
  readonly name: string;
  readonly issuer: string;
  /** Of its settings and keys. Made when it is not there. */
  readonly dataFolder: string;
  readonly settings: IdentityProviderInput;
};

/** Compiled, in the installed package. */
const main = join(import.meta.dirname, '..', 'identity-provider', `main${extname(import.meta.filename)}`);

/** An OpenID provider that listens on the loopback only. It keeps its keys; who was logged in it forgets when it ends. */
export function identityProviderServer({ name, issuer, dataFolder, settings }: IdentityProviderServerOptions): ServerSpec {
  return {
    name,
    address: issuer,
    launch: async () => {
      requireProvider();
      await mkdir(dataFolder, { recursive: true, mode: 0o700 });
      // Not in the environment: other programs of this user could read it there.
      const settingsFile = join(dataFolder, 'settings.json');
      await writeSecretFile(settingsFile, `${JSON.stringify(settings, null, 2)}\n`);
      return {
        command: process.execPath,
        args: ['--disable-warning=ExperimentalWarning', main, settingsFile, join(dataFolder, 'keys.json')],
        cwd: dataFolder,
        env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production' },
      };
    },
    ready: (signal) => answersAt(`${issuer}/.well-known/openid-configuration`, signal),
    stopSignal: 'SIGTERM',
    startLimitMs: 60_000,
    stopLimitMs: 30_000,
  };
}

/** The installed package leaves it to those who want it. @throws CdcError STACK_PACKAGE_MISSING */
function requireProvider(): void {
  try {
    import.meta.resolve('oidc-provider');
  } catch (error) {
    throw new CdcError(
      'STACK_PACKAGE_MISSING',
      'The npm package oidc-provider, of which the identity provider is made, is not installed.',
      {
        cause: error,
        remedy: `Run ${installLine('oidc-provider')} beside legacy-cdc-bridge.`,
      },
    );
  }
}
