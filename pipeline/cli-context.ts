import type { PipelineConfig } from './config/schema.ts';
import type { Logger } from './logger.ts';

/**
 * What cli.ts hands to each folder's `commands.ts`, so that a command neither reads process.argv nor touches the console.
 * A command reports failure by throwing (a CdcError carries its exit code) or by `setExitCode` when its result is the bad news.
 */
export type CliContext = {
  /** pipeline.yaml (--config), interpolated with process.env over the local stack's variables, if one runs. Loaded once. */
  readonly config: () => Promise<PipelineConfig>;
  /** The folder of pipeline.yaml: what it names relatively is relative to it. */
  readonly configFolder: () => string;
  /** A result, to standard output, one line or several. */
  readonly print: (text: string) => void;
  /** One line about long work, to standard error. */
  readonly progress: (text: string) => void;
  readonly setExitCode: (code: number) => void;
  readonly logger: Logger;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Folder of the local stack (--stack, default .cdc/default), absolute. */
  readonly stackFolder: () => string;
};
