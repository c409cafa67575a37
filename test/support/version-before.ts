import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { nodeFlags } from '#pipeline/index.ts';
import { repositoryRoot } from './house-repository.ts';

const run = promisify(execFile);

/**
 * The version before, from which an upgrade is tried. Nothing was released yet, so it is a commit: with the newest schema of the read model but one, and
 * positions that this version must take over. With a release, its tag takes this place.
 */
export const versionBefore = '34a2197971099d81f06f4e400a2a91a83ca32efd';

/** Why the version before cannot be had here; null when it can. A copy without history has none. */
export async function whyNoVersionBefore(): Promise<string | null> {
  try {
    await run('git', ['cat-file', '-e', `${versionBefore}^{commit}`], { cwd: repositoryRoot });
    return null;
  } catch {
    return `this copy has no commit ${versionBefore}: run git fetch --unshallow`;
  }
}

/** Folders of both versions, and one configuration that both can read. */
export type Versions = AsyncDisposable & { readonly before: string; readonly now: string; readonly config: string };

/** @param config must have only settings that the version before knows */
export async function twoVersions(config: unknown): Promise<Versions> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-before-'));
  const archive = join(folder, 'before.tar');
  await run('git', ['archive', '--output', archive, versionBefore], { cwd: repositoryRoot });
  await run('tar', ['-xf', archive, '-C', folder]);
  // What it depends on has been added to since, and not changed.
  await symlink(join(repositoryRoot, 'node_modules'), join(folder, 'node_modules'));
  const file = join(folder, 'upgrade.json');
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return {
    before: folder,
    now: repositoryRoot,
    config: file,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

export type VersionProcess = AsyncDisposable & {
  readonly child: ChildProcess;
  readonly log: () => string;
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
  readonly exited: Promise<number | null>;
};

/** `cdc …` of the version in `folder`. */
export function startVersion(folder: string, config: string, ...words: readonly string[]): VersionProcess {
  const child = spawn(process.execPath, [...nodeFlags, 'cli.ts', '--config', config, ...words], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const exited = once(child, 'exit').then(([code]: (number | null)[]) => code ?? null);
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return await exited;
  };
  return {
    child,
    log: () => text,
    end,
    exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await end('SIGKILL');
    },
  };
}
