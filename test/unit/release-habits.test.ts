import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { jarSets, pomsFolder } from '#stack/servers/java/jars.ts';
import { readCatalogue } from '../../packaging/jar-catalogue.ts';
import { jarLicences, licenceProblems, npmLicences } from '../../packaging/licences.ts';
import { imagesOf, mergeSbom } from '../../packaging/sbom.ts';

const read = (path: string): Promise<string> => readFile(join(repositoryRoot, path), 'utf8');
const { version } = z.object({ version: z.string() }).parse(JSON.parse(await read('package.json')));

/** Why the changelog and package.json do not fit, or null. Before the first release there is no version in it, and 0.1.0 in the other. */
function changelogProblem(changelog: string, ofPackage: string): string | null {
  const [newest = '0.1.0'] = [...changelog.matchAll(/^## \[(?<version>\d[^\]]*)\]/gm)].map(([, found = '']) => found);
  return newest === ofPackage ? null : `CHANGELOG.md ends with ${newest}, and package.json has ${ofPackage}`;
}

test('CHANGELOG.md has the version of package.json as its newest', async () => {
  assert.equal(changelogProblem(await read('CHANGELOG.md'), version), null);
  const released = '## [Unreleased]\n\n## [1.2.0] - 2027-01-01\n\n## [1.1.0] - 2026-12-24\n';
  assert.equal(changelogProblem(released, '1.2.0'), null);
  assert.match(changelogProblem(released, '1.1.0') ?? '', /ends with 1\.2\.0, and package\.json has 1\.1\.0/);
  assert.match(changelogProblem('## [Unreleased]\n', '0.2.0') ?? '', /ends with 0\.1\.0/);
});

/** The places that repeat the version of this project: of images and of the tarball. */
const repeated = /legacy-cdc-bridge(?:-connect)?[:-](?<version>\d+\.\d+\.\d+[\w.-]*?)(?=\.tgz|[}\s`"']|$)|newTag: (?<tag>\S+)/gm;

test('images and tarballs have the version of package.json, wherever they are named', async () => {
  const lock = z.object({ version: z.string() }).parse(JSON.parse(await read('package-lock.json')));
  assert.equal(lock.version, version);
  const wrong: string[] = [];
  let found = 0;
  for await (const file of glob(['docker-compose.yml', 'docs/*.md', 'deploy/**/*.yaml'], { cwd: repositoryRoot })) {
    for (const { groups, 0: text } of (await read(file)).matchAll(repeated)) {
      found += 1;
      if ((groups?.['version'] ?? groups?.['tag']) !== version) wrong.push(`${file}: ${text}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(found >= 7, `found only ${found}`);
});

test('every package and jar has a licence of the list', async () => {
  const lock = await read('package-lock.json');
  assert.deepEqual(licenceProblems([...npmLicences(lock), ...jarLicences(await readCatalogue())]), []);
});

/** Of a lock with one package. */
const problemsOf = (license: unknown): readonly string[] =>
  licenceProblems(npmLicences(JSON.stringify({ packages: { '': {}, 'node_modules/a/node_modules/@b/c': { version: '1.0.0', license } } })));

test('a licence that is not in the list, none, and half of an expression are found', () => {
  for (const good of ['MIT', '(MIT OR GPL-3.0-only)', '(MIT AND Zlib)', [{ type: 'Public Domain' }, { type: 'MIT' }]])
    assert.deepEqual(problemsOf(good), []);
  assert.deepEqual(problemsOf('AGPL-3.0-only'), ['@b/c 1.0.0: AGPL-3.0-only is not allowed (packaging/licences.ts)']);
  assert.deepEqual(problemsOf(undefined), ['@b/c 1.0.0: names no licence (packaging/licences.ts)']);
  assert.equal(problemsOf('(MIT AND GPL-3.0-only)').length, 1);
  const jar = { sha256: '', group: 'org.example', name: 'x', version: '1', licences: ['SSPL-1.0'] };
  assert.deepEqual(licenceProblems(jarLicences([jar])), ['org.example:x 1: SSPL-1.0 is not allowed (packaging/licences.ts)']);
});

test('packaging/jars.json has each jar of the lists of sums, and no other', async () => {
  const listed = new Set<string>();
  for (const set of jarSets)
    for (const [, sum = ''] of (await readFile(join(pomsFolder, set, 'sha256sums'), 'utf8')).matchAll(/^(?<sum>\w{64}) {2}.+\.jar$/gm))
      listed.add(sum);
  const jars = await readCatalogue();
  assert.deepEqual(new Set(jars.map(({ sha256 }) => sha256)), listed);
  const kafka = jars.find(({ name }) => name === 'kafka-clients');
  assert.deepEqual([kafka?.group, kafka?.licences], ['org.apache.kafka', ['Apache-2.0']]);
});

test('the SBOM has packages, jars and images, each by a name of its own', async () => {
  const npm = {
    bomFormat: 'CycloneDX' as const,
    specVersion: '1.5',
    components: [{ 'bom-ref': 'zod@4.6.7', name: 'zod', version: '4.6.7' }],
  };
  const images = imagesOf(await read('docker-compose.yml'));
  assert.ok(
    images.some((image) => /^postgres:\d/.test(image)) && images.some((image) => /^apache\/kafka:\d/.test(image)),
    images.join(' '),
  );
  assert.ok(!images.some((image) => image.startsWith('legacy-cdc-bridge')));
  const { components } = mergeSbom(npm, await readCatalogue(), images);
  const refs = components.map((component) => component['bom-ref']);
  assert.equal(new Set(refs).size, refs.length);
  const purls = components.map(({ purl }) => purl);
  for (const kind of [/^pkg:maven\/io\.debezium\/debezium-connector-postgres@/, /^pkg:docker\/apache\/kafka@/])
    assert.ok(
      purls.some((purl) => typeof purl === 'string' && kind.test(purl)),
      String(kind),
    );
});

test('each image that is not built here has an exact tag', async () => {
  for (const image of imagesOf(await read('docker-compose.yml'))) assert.match(image, /^[\w./-]+:\d+\.\d+[\w.-]*$/);
});
