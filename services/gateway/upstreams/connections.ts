import { buildConnector } from 'undici';
import type { UpstreamConfig } from '#pipeline/index.ts';
import { codeOf } from '../../http/postgres-failures.ts';

/** How the gateway connects to the instances of a service: over TLS where their addresses say so, and to nobody whose certificate is not the right one. */

/** There is no connection, so the instance has seen nothing of a request. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected';
  /** Of the cause: undici asks for it. */
  readonly code: string;
  /** Whether it is the certificate, and not the way there. */
  readonly isUntrusted: boolean;

  constructor(cause: Error) {
    const code = codeOf(cause);
    const isUntrusted = untrusted.has(code);
    super(isUntrusted ? `its certificate is not trusted (${code}): ${cause.message}` : cause.message, { cause });
    this.code = code;
    this.isUntrusted = isUntrusted;
  }
}

/** What OpenSSL and Node find wrong with a certificate (https://nodejs.org/docs/latest-v24.x/api/tls.html#x509-certificate-error-codes). */
const untrusted: ReadonlySet<string> = new Set([
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_DECRYPT_CRL_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'CERT_SIGNATURE_FAILURE',
  'CRL_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'CRL_NOT_YET_VALID',
  'CRL_HAS_EXPIRED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'ERROR_IN_CRL_LAST_UPDATE_FIELD',
  'ERROR_IN_CRL_NEXT_UPDATE_FIELD',
  'OUT_OF_MEM',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'INVALID_CA',
  'PATH_LENGTH_EXCEEDED',
  'INVALID_PURPOSE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'HOSTNAME_MISMATCH',
]);

export type ConnectionOptions = Pick<UpstreamConfig, 'dns' | 'serverName' | 'connectTimeoutMs'> & {
  /** PEM; null: the CAs of Node. */
  readonly ca: string | null;
};

/** What fails is a {@link NotConnected}. */
export function connectorOf({ dns, serverName, connectTimeoutMs, ca }: ConnectionOptions): buildConnector.connector {
  const servername = serverName ?? (dns?.scheme === 'https' ? serviceName(dns) : undefined);
  const connect = buildConnector({ timeout: connectTimeoutMs, ...(ca === null ? {} : { ca }) });
  return (asked, done) => {
    // The host that a request is for comes with it, and would count before a name of the connector.
    const options = servername === undefined ? asked : { ...asked, servername };
    connect(options, (...[error, socket]) => (error === null ? done(null, socket) : done(new NotConnected(error), null)));
  };
}

/** Of SRV records the certificates are for the domain that was asked for, without the service's labels (RFC 6125, 6.5). */
function serviceName({ name, type }: NonNullable<UpstreamConfig['dns']>): string {
  return type === 'srv' ? name.replace(/^(?:_[^.]+\.)+/, '') : name;
}
