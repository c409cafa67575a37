/**
 * Writes stack/poms/<set>/sha256sums, the list that what Maven resolves is compared with, and packaging/jars.json: `npm run sums [set…]`,
 * after a change of a pom (`npm run sums none`: jars.json alone). They are as good as what this machine's Maven gets: look at the difference
 * before you commit it.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { jarSets, pomsFolder, resolveInto, sumsFile, sumsOf } from '#stack/index.ts';
import { catalogueFile, readRepository, type Jar } from './jar-catalogue.ts';

const asked = process.argv.slice(2);
const progress = (text: string): void => void process.stderr.write(`${text}\n`);

for (const set of jarSets.filter((one) => asked.length === 0 || asked.includes(one))) {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-sums-'));
  try {
    await resolveInto(set, join(pomsFolder, set, 'pom.xml'), folder, { signal: AbortSignal.any([]), progress });
    const sums = await sumsOf(folder);
    await writeFile(join(pomsFolder, set, sumsFile), sums);
    progress(`${set}: ${sums.split('\n').length - 1} files`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const repository = await readRepository();
const jars = new Map<string, Jar>();
for (const set of jarSets) {
  const sums = await readFile(join(pomsFolder, set, sumsFile), 'utf8');
  for (const [, sha256 = '', path = ''] of sums.matchAll(/^(?<sum>\w+) {2}(?<path>.+\.jar)$/gm)) {
    const file = basename(path);
    const inArchive = path.includes('/') || !repository.has(file);
    const known = repository.get(file) ?? nameOf(file);
    jars.set(sha256, { sha256, ...(inArchive ? { ...nameOf(file), licences: [] } : known) });
  }
}
const sorted = [...jars.values()].toSorted((a, b) => (`${a.group} ${a.name} ${a.version}` < `${b.group} ${b.name} ${b.version}` ? -1 : 1));
await writeFile(catalogueFile, `[\n${sorted.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]\n`);

function nameOf(file: string): Omit<Jar, 'sha256'> {
  const { name = file, version = '' } = /^(?<name>.+?)-(?<version>\d.*)\.jar$/.exec(file)?.groups ?? {};
  return { group: null, name, version, licences: [] };
}
