import { restartAtExit } from './restart.ts';

/**
 * How long a command may take to end after a signal, in ms: to finish a page or a batch, to leave a group, to give up a server that does not
 * answer. Then the process is ended as a crash would end it, which costs nothing but time at the next start.
 */
export const graceMs = 30_000;

/** Exit code after a signal to end. */
export const interrupted = 130;

/** How a process comes to its end: work hears of it by the signal, and has a grace to end in order. */
export type Endings = {
  readonly signal: AbortSignal;
  /** For a configuration that has changed. `restart`: the process begins again when it has ended, unless a signal ends it meanwhile. */
  readonly changed: (reason: Error, restart: boolean) => void;
};

export type Graces = {
  /** After SIGINT or SIGTERM, in ms. */
  readonly endMs: number;
  /** After a change of the configuration. */
  readonly changedMs: number;
};

/** Aborted by the first SIGINT or SIGTERM; further ones change nothing, since what runs is already stopping, and ends at the latest after the grace. */
export function followEndings({ endMs, changedMs }: Graces): Endings {
  const controller = new AbortController();
  const { signal } = controller;
  let ending = false;
  onSignals((name) => {
    if (ending) return;
    ending = true;
    process.stderr.write(`${name}: stopping\n`);
    controller.abort(new Error(`interrupted by ${name}`));
    exitAfter(endMs, name);
  });
  return {
    signal,
    changed(reason, restart) {
      if (signal.aborted) return;
      controller.abort(reason);
      exitAfter(changedMs, reason.message);
      if (!restart) return;
      // A signal came meanwhile: it ends.
      onSignals(restartAtExit());
    },
  };
}

function onSignals(hear: (name: string) => void): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => hear(name));
}

/** Ends the process when it has not ended by then. Keeps no process that could end by itself. */
function exitAfter(afterMs: number, why: string): void {
  setTimeout(() => {
    process.stderr.write(`${why}: still waiting for a server after ${afterMs / 1000} s; ending without it\n`);
    process.exit(interrupted);
  }, afterMs).unref();
}
