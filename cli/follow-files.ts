import { readFile } from 'node:fs/promises';
import { unwatchFile, watchFile } from 'node:fs';
import { basename } from 'node:path';
import { CdcError, describeError, type Logger, type PipelineConfig } from '#pipeline/index.ts';

export type FollowOptions = {
  /** pipeline.yaml, absolute. */
  readonly file: string;
  /** As the running program has it. */
  readonly config: PipelineConfig;
  /** Reads `file` as it is now. @throws CdcError where it is not valid */
  readonly load: () => Promise<PipelineConfig>;
  /** Further files that the program has read, absolute. */
  readonly more: readonly string[];
  readonly logger: Logger;
  /** Ends the program in order. Undefined: it goes on with what it has. */
  readonly end: ((reason: Error) => void) | undefined;
  /** In ms; default 2000. */
  readonly intervalMs?: number;
};

/**
 * Notices that the files a program was started with have changed, and says so: a change that is saved and that nobody takes over is easily
 * taken for one that works. What is no valid configuration is logged with its problems and changes nothing. Files are looked at by path and
 * not by the system's notices, which do not reach into a container's volume and lose a file that is replaced.
 */
export async function followFiles({ file, config, load, more, logger, end, intervalMs = 2000 }: FollowOptions): Promise<Disposable> {
  const running = JSON.stringify(config);
  const texts = new Map<string, string | null>();
  for (const one of more) texts.set(one, await textOf(one));
  let said = '';
  /** Each state is logged once. */
  const changed = (what: string, problem?: string): void => {
    if (said === `${what} ${problem}`) return;
    said = `${what} ${problem}`;
    if (problem !== undefined) {
      logger.error({ file: what, problem }, `${basename(what)} has changed and is not valid: going on with the settings from the start`);
    } else if (end === undefined) {
      logger.warn({ file: what }, `${basename(what)} has changed since this program started: start it again to take the change over`);
    } else {
      logger.warn({ file: what }, `${basename(what)} has changed: ending, to start again with it`);
      end(new Error(`${what} has changed`));
    }
  };
  const look = async (one: string): Promise<void> => {
    try {
      if (one === file ? JSON.stringify(await load()) !== running : (await textOf(one)) !== texts.get(one)) changed(one);
      else said = '';
    } catch (error) {
      changed(one, error instanceof CdcError ? `${error.code}: ${error.message}` : describeError(error));
    }
  };
  const watched = [file, ...more].map((one) => {
    const listener = (): void => void look(one);
    watchFile(one, { interval: intervalMs, persistent: false }, listener);
    return { one, listener };
  });
  // What changed between its reading and this moment has no notice of its own.
  for (const { one } of watched) await look(one);
  return {
    [Symbol.dispose]() {
      for (const { one, listener } of watched) unwatchFile(one, listener);
    },
  };
}

/** Null where there is none. */
async function textOf(file: string): Promise<string | null> {
  return await readFile(file, 'utf8').catch(() => null);
}
