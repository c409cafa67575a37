/**
 * Writes stack/poms/<set>/sha256sums, the list that what Maven resolves is compared with: `npm run sums [set…]`, after a change of a pom. The
 * lists are as good as what this machine's Maven gets: look at the difference before you commit it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sumsFile, sumsOf } from '#stack/servers/jar-sums.ts';
import { jarSets, pomsFolder, resolveInto } from '#stack/servers/jars.ts';

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
