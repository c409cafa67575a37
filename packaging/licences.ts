/**
 * `npm run licences`: which licences the npm packages of package-lock.json and the jars of stack/poms have, and which of them are not allowed.
 * Exit code 1 when there is one. Nothing is asked: both lists are committed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { readCatalogue, type Jar } from './jar-catalogue.ts';

/** What may be used and passed on under conditions that this project keeps, SPDX. */
const allowed: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-2-Clause-Views',
  'BSD-3-Clause',
  'CC0-1.0',
  'EPL-2.0',
  'ISC',
  'MIT',
  'MIT-0',
  'MPL-2.0',
  'Python-2.0',
  'Unlicense',
  'Zlib',
]);

/** By name: what is allowed all the same, and why. */
const excepted: Readonly<Record<string, string>> = {
  buildcheck: 'MIT by its file LICENSE; its package.json names none that npm reads',
  'cpu-features': 'MIT by its file LICENSE; its package.json names none that npm reads',
  ssh2: 'MIT by its file LICENSE; its package.json names none that npm reads',
  'com.mysql:mysql-connector-j': 'GPL with the FOSS exception; a bench fetches it with Debezium’s JDBC sink, nothing passes it on',
  'com.oracle.database.jdbc:ojdbc11': 'free use terms of Oracle; a bench fetches it with Debezium’s JDBC sink, nothing passes it on',
  'org.mariadb.jdbc:mariadb-java-client': 'LGPL-2.1, used as it is; fetched by Maven, never passed on',
  'javax.activation:activation': 'CDDL-1.0, used as it is; fetched by Maven, never passed on',
  'javax.activation:javax.activation-api': 'CDDL-1.1, used as it is; fetched by Maven, never passed on',
  'javax.xml.bind:jaxb-api': 'CDDL-1.1, used as it is; fetched by Maven, never passed on',
};

/** Of one package or jar. `any`: which of these suits; an npm expression is one text. */
export type Licensed = { readonly name: string; readonly version: string; readonly any: readonly string[] };

const lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), license: z.union([z.string(), z.array(z.object({ type: z.string() }))]).optional() }),
  ),
});

/** The packages of a package-lock.json, those of development too. */
export function npmLicences(text: string): readonly Licensed[] {
  return Object.entries(lock.parse(JSON.parse(text)).packages)
    .filter(([path]) => path !== '')
    .map(([path, { version = '', license }]) => ({
      name: path.replace(/^.*node_modules\//, ''),
      version,
      // Old packages list several, of which one may be chosen.
      any: typeof license === 'string' ? [license] : (license ?? []).map(({ type }) => type),
    }));
}

/** Those jars whose pom is known; what is in an archive has the licence of the archive's own page. */
export function jarLicences(jars: readonly Jar[]): readonly Licensed[] {
  return jars.flatMap(({ group, name, version, licences }) =>
    group === null ? [] : [{ name: `${group}:${name}`, version, any: licences }],
  );
}

/** What is not allowed, one sentence each. */
export function licenceProblems(all: readonly Licensed[]): readonly string[] {
  return all.flatMap(({ name, version, any }) => {
    if (name in excepted || any.some(isAllowed)) return [];
    return [`${name} ${version}: ${any.length === 0 ? 'names no licence' : `${any.join(' or ')} is not allowed`} (packaging/licences.ts)`];
  });
}

/** Of an expression of one level: with OR one must be allowed, with AND all. */
function isAllowed(expression: string): boolean {
  const bare = expression.replaceAll(/[()]/g, '');
  if (bare.includes(' AND ') && bare.includes(' OR ')) return false;
  if (bare.includes(' AND ')) return bare.split(' AND ').every((one) => allowed.has(one));
  return bare.split(' OR ').some((one) => allowed.has(one));
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const all = [...npmLicences(readFileSync(join(root, 'package-lock.json'), 'utf8')), ...jarLicences(await readCatalogue())];
  const counts = Object.entries(Object.groupBy(all, ({ any }) => any.join(' or ') || 'none named'));
  const sorted = counts.toSorted(([, a = []], [, b = []]) => b.length - a.length);
  for (const [licence, these = []] of sorted) process.stdout.write(`${String(these.length).padStart(5)}  ${licence}\n`);
  const problems = licenceProblems(all);
  for (const problem of problems) process.stdout.write(`${problem}\n`);
  if (problems.length > 0) process.exitCode = 1;
}
