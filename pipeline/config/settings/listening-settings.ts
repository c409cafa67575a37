import * as z from 'zod';
import { int, name } from './plain-settings.ts';

/** Where a service listens, and what it takes from its clients. */

export const address = (ofPort: string) =>
  z.strictObject({
    host: name.default('127.0.0.1').describe('Address to listen on.'),
    port: int(0, 65_535).describe(`${ofPort} 0 takes a free port, which the log names.`),
  });

const rateLimit = z.strictObject({
  requests: int(0).default(1000).describe('Most requests of one client address in windowMs. 0: no limit.'),
  windowMs: int(100).default(60_000).describe('Length of the window.'),
});

const serverTls = z.strictObject({
  certFile: name.describe('PEM file with the certificate of the service, and those between it and its CA.'),
  keyFile: name.describe('PEM file with its private key, without a passphrase.'),
});

export type ServerTlsConfig = z.output<typeof serverTls>;

/** Of every service that answers over HTTP. */
export const listening = (what: string, defaultPort: number) => ({
  http: address(`Port of ${what}.`).prefault({ port: defaultPort }),
  monitoring: address('Port of /metrics and /status.')
    .optional()
    .describe(
      `Serves /metrics and /status here alone, without login. Default: beside ${what}, and with auth: jwt by the scope monitoring.`,
    ),
  tls: serverTls
    .optional()
    .describe('The service answers HTTPS alone, on the port of monitoring too. Files that change are read again. Default: plain HTTP.'),
  trustedProxies: z
    .array(name)
    .default([])
    .describe(
      'Addresses or ranges of proxies whose X-Forwarded-For is believed, so that the rate limit counts the client and not the proxy.',
    ),
  rateLimit: rateLimit.prefault({}),
  requestTimeoutMs: int(100).default(10_000).describe('How long a client may take to send a request.'),
  endWithinMs: int(0, 25_000).default(10_000).describe('At the end: how long requests that run may take.'),
});
