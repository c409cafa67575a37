import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';

/** Files of a server's certificate, and what is in them. */
export type MadeCertificate = { readonly certFile: string; readonly keyFile: string; readonly cert: string; readonly key: string };

/** A CA of a test's own, and the certificates that it signs. Its files go when it is disposed. */
export type TestCa = AsyncDisposable & {
  readonly folder: string;
  readonly caFile: string;
  readonly ca: string;
  /** For these names and addresses. `expired`: it was good until yesterday. */
  issue(names: readonly string[], options?: { readonly expired?: boolean }): Promise<MadeCertificate>;
};

const day = 86_400_000;
let made = 0;

export async function createCa(): Promise<TestCa> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-ca-'));
  const common = { keyType: 'ec', algorithm: 'sha256' } as const;
  made += 1;
  const own = await generate([{ name: 'commonName', value: `CA ${made} of a test` }], {
    ...common,
    notBeforeDate: new Date(Date.now() - 10 * day),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  });
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, own.cert);
  return {
    folder,
    caFile,
    ca: own.cert,
    async issue(names, { expired = false } = {}) {
      made += 1;
      const { cert, private: key } = await generate([{ name: 'commonName', value: names[0] ?? '' }], {
        ...common,
        ca: { cert: own.cert, key: own.private },
        notBeforeDate: new Date(Date.now() - 2 * day),
        notAfterDate: new Date(Date.now() + (expired ? -day : day)),
        extensions: [
          { name: 'basicConstraints', cA: false },
          { name: 'extKeyUsage', serverAuth: true },
          { name: 'subjectAltName', altNames: names.map((name) => (isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name })) },
        ],
      });
      const [certFile, keyFile] = [join(folder, `${made}.pem`), join(folder, `${made}.key`)];
      await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key)]);
      return { certFile, keyFile, cert, key };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
