import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { repositoryRoot } from './house-repository.ts';

const run = promisify(execFile);

/** The oldest Node that the package runs on, beside the Node of this process. */
const olderNode = '22.22.0';

export type InstalledPackage = AsyncDisposable & {
  /** Where an author of a service has run `npm install legacy-cdc-bridge-….tgz`. */
  readonly folder: string;
  /** Of the tarball, each relative to its package. */
  readonly files: readonly string[];
  /** Of Node 22 and of Node 24. */
  readonly nodes: readonly string[];
  /** In `folder`, as npm's link of the program starts it: with `node` as the first in PATH. Never rejects. */
  readonly cdc: (node: string, ...words: readonly string[]) => Promise<Ended>;
  readonly node: (node: string, ...words: readonly string[]) => Promise<Ended>;
};

export type Ended = { readonly code: number; readonly output: string; readonly errors: string };

/** Builds the package, packs it, and installs the tarball in an empty folder; needs npm's registry, or its cache. */
export async function installPackage(): Promise<InstalledPackage> {
  const base = await mkdtemp(join(tmpdir(), 'cdc-package-'));
  const [built, folder, older] = ['built', 'app', 'node'].map((name) => join(base, name));
  if (built === undefined || folder === undefined || older === undefined) throw new Error('unreachable');
  for (const made of [folder, older]) {
    await mkdir(made);
    await writeFile(join(made, 'package.json'), '{ "private": true, "type": "module" }\n');
  }
  await run(process.execPath, [join(repositoryRoot, 'packaging', 'build.ts'), built], { cwd: repositoryRoot });
  await run('npm', ['pack', '--pack-destination', base], { cwd: built });
  const tarball = (await readdir(base)).find((name) => name.endsWith('.tgz')) ?? '';
  const listed = await run('tar', ['-tzf', join(base, tarball)]);
  const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  await run('npm', [...install, join(base, tarball)], { cwd: folder });
  const holder = `node-${process.platform}-${process.arch}`;
  await run('npm', [...install, `${holder}@${olderNode}`], { cwd: older });
  const start = (node: string, program: string, words: readonly string[]): Promise<Ended> =>
    ended(program, words, { cwd: folder, env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env['PATH'] ?? ''}` } });
  return {
    folder,
    files: listed.stdout
      .trim()
      .split('\n')
      .map((line) => line.replace(/^package\//, '')),
    nodes: [join(older, 'node_modules', holder, 'bin', 'node'), process.execPath],
    cdc: (node, ...words) => start(node, join(folder, 'node_modules', '.bin', 'cdc'), words),
    node: (node, ...words) => start(node, node, words),
    [Symbol.asyncDispose]: () => rm(base, { recursive: true }),
  };
}

async function ended(program: string, words: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv }): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(program, words, { ...options, maxBuffer: 64 << 20 }, (error, output, errors) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, output, errors });
    });
  });
}
