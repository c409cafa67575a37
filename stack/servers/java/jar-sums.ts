import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CdcError } from '#pipeline/index.ts';
import { hasCode } from '../../state/file.ts';

/** Beside each pom: the SHA-256 of every file that Maven resolves for it, as `sha256sum` writes them. */
export const sumsFile = 'sha256sums';

/** What is made here and not fetched: Maven's notes of what it has unpacked, and the jar that a pom builds (its times differ). */
const ownFiles = /^(?:\.unpacked\/|services\.jar$)/;

/** The sums of all fetched files below `folder`, sorted by path: the text of a {@link sumsFile}. */
export async function sumsOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
  const lines: string[] = [];
  for (const file of files.filter((one) => !ownFiles.test(one)).toSorted()) lines.push(`${await sumOf(join(folder, file))}  ${file}\n`);
  return lines.join('');
}

async function sumOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/**
 * Compares what Maven has resolved into `folder` with the list beside the pom: a repository, a mirror or a local cache may hold another file
 * under the same name and version.
 *
 * @param poms the folder of the pom
 * @throws CdcError JARS_CHANGED naming up to five files that differ, are missing or are not in the list
 */
export async function checkSums(set: string, poms: string, folder: string): Promise<void> {
  const list = join(poms, sumsFile);
  const wanted = parse(await readFile(list, 'utf8').catch((error: unknown) => (hasCode(error, 'ENOENT') ? '' : Promise.reject(error))));
  const found = parse(await sumsOf(folder));
  const wrong = [
    ...[...found].flatMap(([file, sum]) =>
      wanted.get(file) === sum ? [] : [`${file} ${wanted.has(file) ? 'is another file' : 'is not in the list'}`],
    ),
    ...[...wanted.keys()].flatMap((file) => (found.has(file) ? [] : [`${file} is missing`])),
  ];
  if (wrong.length === 0) return;
  const more = wrong.length > 5 ? `\n  and ${wrong.length - 5} more` : '';
  throw new CdcError(
    'JARS_CHANGED',
    `what Maven resolved for ${set} is not what ${list} lists:\n${wrong
      .slice(0, 5)
      .map((line) => `  ${line}`)
      .join('\n')}${more}`,
  );
}

function parse(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(/^(?<sum>[0-9a-f]{64}) {2}(?<file>.+)$/gm)].map(([, sum = '', file = '']) => [file, sum]));
}
