import { existsSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, sep } from 'node:path';
import * as z from 'zod';

/** Where packaging/jars.json is: what `npm run sums` has found out about each jar, so that nothing later needs Maven. */
export const catalogueFile = join(import.meta.dirname, 'jars.json');

const jar = z.object({
  sha256: z.string(),
  /** Of Maven; null for what was in an archive, whose path names no group. */
  group: z.string().nullable(),
  name: z.string(),
  version: z.string(),
  /** SPDX where the pom's words are known, else these words. Any one of several may be chosen. */
  licences: z.array(z.string()),
});
export type Jar = z.output<typeof jar>;

/** Each jar of stack/poms, once. */
export async function readCatalogue(): Promise<readonly Jar[]> {
  return z.array(jar).parse(JSON.parse(await readFile(catalogueFile, 'utf8')));
}

/** What Maven's local repository knows of the jars, by file name. */
export type Repository = ReadonlyMap<string, Omit<Jar, 'sha256'>>;

/** Reads ~/.m2, where a file lies at group/name/version/file. */
export async function readRepository(root = join(homedir(), '.m2', 'repository')): Promise<Repository> {
  const found = new Map<string, Omit<Jar, 'sha256'>>();
  for await (const path of glob('**/*.{jar,tar.gz}', { cwd: root })) {
    const folder = dirname(path);
    const name = basename(dirname(folder));
    const version = basename(folder);
    const group = dirname(dirname(folder)).split(sep).join('.');
    found.set(basename(path), { group, name, version, licences: await licencesOf(root, { group, name, version }) });
  }
  return found;
}

type Coordinates = { readonly group: string; readonly name: string; readonly version: string };

/** Of the pom, else of the nearest parent that names any. */
async function licencesOf(root: string, { group, name, version }: Coordinates, depth = 0): Promise<string[]> {
  const file = join(root, ...group.split('.'), name, version, `${name}-${version}.pom`);
  const pom = existsSync(file) ? await readFile(file, 'utf8') : '';
  const [, own = ''] = /<licenses>(?<own>[^]*?)<\/licenses>/.exec(pom) ?? [];
  const names = [...own.matchAll(/<name>(?<name>[^]*?)<\/name>/g)].map(([, text = '']) => spdx(text.replaceAll(/\s+/g, ' ').trim()));
  if (names.length > 0) return [...new Set(names)];
  const [, parent] = /<parent>(?<parent>[^]*?)<\/parent>/.exec(pom) ?? [];
  if (parent === undefined || depth === 8) return [];
  const of = (tag: string): string => new RegExp(`<${tag}>\\s*(?<value>[^<]*?)\\s*</${tag}>`).exec(parent)?.[1] ?? '';
  return licencesOf(root, { group: of('groupId'), name: of('artifactId'), version: of('version') }, depth + 1);
}

/** The words that poms use. */
const words: readonly (readonly [RegExp, string])[] = [
  [/apache.*2|^asl 2/i, 'Apache-2.0'],
  [/lesser.*2\.1|lgpl.*2\.1/i, 'LGPL-2.1-or-later'],
  [/gpl.*(?:classpath|cpe)|classpath.*gpl/i, 'GPL-2.0-with-classpath-exception'],
  [/eclipse public.*2|epl.?(?:v)?.?2/i, 'EPL-2.0'],
  [/eclipse public.*1|epl.?(?:v)?.?1/i, 'EPL-1.0'],
  [/eclipse distribution|edl/i, 'BSD-3-Clause'],
  [/bsd.*2.clause/i, 'BSD-2-Clause'],
  [/bsd|go license/i, 'BSD-3-Clause'],
  [/\bmit\b/i, 'MIT'],
  [/mozilla.*2|mpl.*2/i, 'MPL-2.0'],
  [/public domain|cc0/i, 'CC0-1.0'],
];

function spdx(text: string): string {
  return words.find(([pattern]) => pattern.test(text))?.[1] ?? text;
}
