import type { Locate } from '../config/load.ts';
import type { PipelineConfig } from '../config/schema.ts';
import type { Logger } from '../logger.ts';

/**
 * What cli.ts hands to each folder's `commands.ts`, so that a command neither reads process.argv nor touches the console.
 * A command reports failure by throwing (a CdcError carries its exit code) or by `setExitCode` when its result is the bad news.
 */
export type CliContext = {
  /** pipeline.yaml (--config), interpolated with process.env over the local stack's variables, if one runs. Loaded once. */
  readonly config: () => Promise<PipelineConfig>;
  /** The program's variables, over the local stack's, if one runs: what pipeline.yaml refers to. */
  readonly environment: () => Promise<Readonly<Record<string, string | undefined>>>;
  /** The folder of pipeline.yaml: what it names relatively is relative to it. */
  readonly configFolder: () => string;
  /** Names places in pipeline.yaml, for errors about what it asks for. */
  readonly locate: () => Promise<Locate>;
  /** A result, to standard output, one line or several. */
  readonly print: (text: string) => void;
  /** One line about long work, to standard error. */
  readonly progress: (text: string) => void;
  readonly setExitCode: (code: number) => void;
  readonly logger: Logger;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /**
   * For a command that runs until it is stopped: notices that pipeline.yaml, or one of `more`, is no longer what it was when the command
   * began, and logs it. With CDC_ON_CONFIG_CHANGE=end it also aborts `signal`, for
   * whoever starts ended programs again; with `restart` the program then starts again by itself.
   */
  readonly followFiles: (more?: readonly string[]) => Promise<Disposable>;
  /** Folder of the local stack (--stack, default .cdc/default), absolute. */
  readonly stackFolder: () => string;
};
