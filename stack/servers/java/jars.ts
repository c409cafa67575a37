import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { CdcError } from '#pipeline/index.ts';
import { exists, hasCode } from '../../state/file.ts';
import { withLock } from '../../state/lock.ts';
import { formatSeconds } from '../../wait-for.ts';
import type { Progress } from '../../progress.ts';
import { runProgram } from '../../processes/run-program.ts';
import { checkSums } from './jar-sums.ts';

/** The pinned poms under stack/poms. */
export const jarSets = [
  'kafka',
  'debezium-postgres',
  'debezium-mariadb',
  'debezium-jdbc',
  'connect-basic-auth',
  'mariadb',
  'h2',
  'apicurio-registry',
  'apicurio-converter',
] as const;
export type JarSet = (typeof jarSets)[number];

/** Where the poms are, each with the list of its files' sums. */
export const pomsFolder = join(import.meta.dirname, '..', '..', 'poms');

/** Of sets whose jars are mere wrapping: the files that are unpacked from them, in place of the jars. */
const unpacked: Partial<Readonly<Record<JarSet, readonly string[]>>> = {
  mariadb: ['**/bin/mariadbd', '**/share/charsets/**', '**/share/english/**', '**/share/mariadb_*.sql'],
  'apicurio-registry': ['*.jar', 'lib/*.jar'],
};

/** What a set's pom makes beside what it resolves. */
const furtherGoals: Partial<Readonly<Record<JarSet, readonly string[]>>> = { 'apicurio-converter': ['jar:jar'] };

type Options = {
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Where PATH and CDC_CACHE are read. Default process.env. */
  readonly environment?: NodeJS.ProcessEnv;
  /** In place of {@link pomsFolder}. */
  readonly poms?: string;
};

/** Where jars are kept between runs: CDC_CACHE, else XDG's cache folder. */
export function jarCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const own = environment['CDC_CACHE'];
  if (own !== undefined && own !== '') return resolve(own);
  const xdg = environment['XDG_CACHE_HOME'];
  return join(xdg === undefined || xdg === '' ? join(homedir(), '.cache') : xdg, 'legacy-cdc-bridge', 'jars');
}

/**
 * The folder that holds the jars of a pinned pom, resolved by Maven when it is not in the cache yet. Two runs side by side are safe:
 * one resolves, the other waits; a folder appears complete and with the files of its list of sums, or not at all.
 *
 * @throws CdcError MAVEN_MISSING, JARS_UNRESOLVED, JARS_CHANGED
 */
export async function resolveJars(set: JarSet, options: Options): Promise<string> {
  const pom = join(options.poms ?? pomsFolder, set, 'pom.xml');
  const hash = await hashOfFiles(dirname(pom));
  const cache = jarCacheFolder(options.environment);
  const folder = join(cache, `${set}-${hash}`);
  if (await exists(folder)) return folder;
  await mkdir(cache, { recursive: true });
  await withLock(join(cache, 'resolving.lock'), { signal: options.signal, waitMs: 10 * 60_000 }, async () => {
    if (!(await exists(folder))) await fill(set, pom, folder, options);
  });
  return folder;
}

/** Of the pom, and of whatever lies beside it: its list of sums too. */
async function hashOfFiles(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  for (const file of files.toSorted()) hash.update(await readFile(file));
  return hash.digest('hex').slice(0, 12);
}

async function fill(set: JarSet, pom: string, folder: string, options: Options): Promise<void> {
  const { progress } = options;
  const started = performance.now();
  const temporary = `${folder}.${randomUUID()}`;
  progress(`resolving the jars of ${set} with Maven, once, into ${folder}`);
  try {
    await resolveInto(set, pom, temporary, options);
    await checkSums(set, dirname(pom), temporary);
    const count = (await readdir(temporary)).length;
    await rename(temporary, folder);
    progress(
      `${count} ${unpacked[set] === undefined ? 'jars' : 'folders'} of ${set} are resolved (${formatSeconds(performance.now() - started)})`,
    );
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Has Maven put the files of a pom into `folder`, and looks at none of them. @throws CdcError MAVEN_MISSING, JARS_UNRESOLVED */
export async function resolveInto(set: JarSet, pom: string, folder: string, options: Options): Promise<void> {
  await runMaven(set, ['-B', '-f', pom, ...goal(set, folder), `-DoutputDirectory=${folder}`, '-DincludeScope=runtime'], options);
}

/** Maven leaves a note of what it has unpacked, and skips that the next time: the note goes where the files go. */
function goal(set: JarSet, folder: string): readonly string[] {
  const files = unpacked[set];
  if (files === undefined) return ['dependency:copy-dependencies', ...(furtherGoals[set] ?? [])];
  return ['dependency:unpack-dependencies', `-Dmdep.unpack.includes=${files.join(',')}`, `-DmarkersDirectory=${join(folder, '.unpacked')}`];
}

async function runMaven(set: JarSet, args: readonly string[], { signal, progress, environment = process.env }: Options): Promise<void> {
  const started = performance.now();
  let downloaded = 0;
  const report = setInterval(() => {
    progress(`resolving ${set}: ${downloaded} files downloaded (${formatSeconds(performance.now() - started)})`);
  }, 3000);
  const onLine = (line: string): void => {
    if (line.includes('Downloaded from')) downloaded += 1;
  };
  try {
    const { code, lines } = await runProgram('mvn', args, { env: environment, signal, onLine });
    if (code === 0) return;
    const errors = lines.filter((line) => line.includes('ERROR')).slice(0, 3);
    throw new CdcError('JARS_UNRESOLVED', `Maven could not resolve the jars of ${set}:\n${errors.join('\n').slice(0, 1000)}`);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    throw new CdcError('MAVEN_MISSING', `Maven is needed once, to resolve the jars of ${set}, and \`mvn\` was not found.`, {
      cause: error,
    });
  } finally {
    clearInterval(report);
  }
}
