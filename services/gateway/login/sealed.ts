import { randomBytes } from 'node:crypto';
import { EncryptJWT, errors, jwtDecrypt } from 'jose';
import * as z from 'zod';
import type { LoginChecks } from './provider.ts';

/** A login that was begun and has not come back. */
export type PendingLogin = LoginChecks & { readonly returnTo: string };

const pending = z.object({ state: z.string(), nonce: z.string(), verifier: z.string(), returnTo: z.string() });

/** How long a person may take at the provider. */
export const loginSeconds = 600;

/**
 * Keeps what belongs to a login that was begun in the browser that has begun it, sealed with a key of this process. So nobody fills our memory by beginning
 * logins, and a callback is good in that browser alone.
 */
export function createSeal(): {
  seal(login: PendingLogin): Promise<string>;
  /** Null for what this process has not sealed, or too long ago. */
  open(sealed: string | undefined): Promise<PendingLogin | null>;
} {
  const key = randomBytes(32);
  return {
    seal: (login) =>
      new EncryptJWT({ ...login })
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .setIssuedAt()
        .setExpirationTime(`${loginSeconds} s`)
        .encrypt(key),
    async open(sealed) {
      if (sealed === undefined) return null;
      try {
        const options = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'], requiredClaims: ['exp'] };
        return pending.parse((await jwtDecrypt(sealed, key, options)).payload);
      } catch (error) {
        if (error instanceof errors.JOSEError || error instanceof z.ZodError) return null;
        throw error;
      }
    },
  };
}
