import { createPrivateKey, X509Certificate } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { CdcError, describeError, type Logger, type ServerTlsConfig } from '#pipeline/index.ts';

/** Certificates and keys of services, from files that the configuration names. What is wrong with one is an error that names its setting and its file. */

/** What a server shows of itself: PEM. */
export type Certificate = { readonly cert: string; readonly key: string };

type Files = { readonly place: string; readonly tls: ServerTlsConfig };

/**
 * @param files `place`: the setting that holds them, `services.gateway.tls`
 * @throws CdcError SERVICE_TLS_INVALID
 */
export async function readCertificate({ place, tls: { certFile, keyFile } }: Files): Promise<Certificate> {
  const certSetting = `${place}.certFile`;
  const keySetting = `${place}.keyFile`;
  const [cert, key] = [await textOf(certSetting, certFile), await textOf(keySetting, keyFile)];
  const [first] = certificatesOf(certSetting, certFile, cert);
  const privateKey = tried(keySetting, keyFile, () => createPrivateKey(key));
  if (first?.checkPrivateKey(privateKey) !== true) throw invalid(keySetting, keyFile, `is not the key of the certificate in ${certFile}`);
  tried(certSetting, certFile, () => createSecureContext({ cert, key }));
  return { cert, key };
}

/**
 * The CAs of a file, PEM, one or several.
 *
 * @throws CdcError SERVICE_TLS_INVALID
 */
export async function readCas(setting: string, file: string): Promise<string> {
  const text = await textOf(setting, file);
  certificatesOf(setting, file, text);
  return text;
}

/** Says that a certificate has expired: clients refuse it, and the server goes on for those that do not look. */
export function warnOfExpiry({ cert }: Certificate, { place, tls }: Files, logger: Logger): void {
  const [first] = pemBlocks(cert).map((block) => new X509Certificate(block));
  if (first !== undefined && first.validToDate.getTime() < Date.now())
    logger.warn(
      { setting: `${place}.certFile`, file: tls.certFile, until: first.validTo },
      'the certificate has expired: clients refuse it',
    );
}

/**
 * Reads the files again when they change, and gives what they hold now: certificates are renewed while services run. What cannot be used is logged, and the
 * server goes on with what it has. Files are looked at by path, every 2 s: a volume replaces them.
 */
export function followCertificate(files: Files, onChanged: (certificate: Certificate) => void, logger: Logger): Disposable {
  const { certFile, keyFile } = files.tls;
  const look = async (): Promise<void> => {
    try {
      const certificate = await readCertificate(files);
      onChanged(certificate);
      logger.info({ setting: files.place, file: certFile }, 'the certificate has changed');
      warnOfExpiry(certificate, files, logger);
    } catch (error) {
      logger.error({ reason: describeError(error) }, 'the certificate has changed and cannot be used: going on with the one before');
    }
  };
  const listener = (): void => void look();
  for (const file of [certFile, keyFile]) watchFile(file, { interval: 2000, persistent: false }, listener);
  return {
    [Symbol.dispose]() {
      for (const file of [certFile, keyFile]) unwatchFile(file, listener);
    },
  };
}

async function textOf(setting: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw invalid(setting, file, `cannot be read: ${describeError(error)}`, error);
  }
}

function certificatesOf(setting: string, file: string, text: string): readonly X509Certificate[] {
  const blocks = pemBlocks(text);
  if (blocks.length === 0) throw invalid(setting, file, 'holds no certificate (PEM)');
  return blocks.map((block) => tried(setting, file, () => new X509Certificate(block)));
}

/** Node takes what is between other blocks for nothing, and says so of none. */
function pemBlocks(text: string): readonly string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
}

function tried<T>(setting: string, file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalid(setting, file, `is not what it must be: ${describeError(error)}`, error);
  }
}

function invalid(setting: string, file: string, what: string, cause?: unknown): CdcError {
  return new CdcError('SERVICE_TLS_INVALID', `${setting}: ${file} ${what}`, cause === undefined ? {} : { cause });
}
