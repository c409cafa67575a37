import { relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { stripVTControlCharacters } from 'node:util';
import { formatSeconds } from '#stack/index.ts';

/** Tests by outcome. A test marked todo counts as skipped, whatever it did. */
export type Tally = { readonly passed: number; readonly failed: number; readonly skipped: number };

export const emptyTally: Tally = { passed: 0, failed: 0, skipped: 0 };

export function addTallies(a: Tally, b: Tally): Tally {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** "12 passed, 0 failed, 1 skipped" */
export function summary({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** What the count needs of node:test's `test:pass` and `test:fail` events. */
export type TestOutcome = {
  readonly name: string;
  readonly nesting: number;
  readonly file?: string | undefined;
  readonly skip?: string | boolean | undefined;
  readonly todo?: string | boolean | undefined;
  readonly details: { readonly type?: string | undefined; readonly error?: Error | undefined };
};

/**
 * Counts leaf tests. A suite, or a test with subtests, counts only when it fails by itself (a hook, or after its subtests); a file
 * that crashes is a failure; one that holds no test counts as nothing.
 */
export function createCounter(): { readonly add: (passed: boolean, outcome: TestOutcome) => void; readonly tally: () => Tally } {
  let tally = emptyTally;
  // Outcomes come in order, children right before their parent.
  const lastNesting = new Map<string, number>();
  const add = (passed: boolean, outcome: TestOutcome): void => {
    const file = outcome.file ?? '';
    const isParent = (lastNesting.get(file) ?? 0) > outcome.nesting;
    lastNesting.set(file, outcome.nesting);
    const isGroup = isParent || outcome.details.type === 'suite';
    if (outcome.skip !== undefined || outcome.todo !== undefined) {
      // A skipped suite has no children to count in its place.
      if (!isParent) tally = addTallies(tally, { ...emptyTally, skipped: 1 });
    } else if (!passed) {
      if (!(isGroup && failedBySubtests(outcome.details.error))) tally = addTallies(tally, { ...emptyTally, failed: 1 });
    } else if (!isGroup && !isFileItself(outcome)) {
      tally = addTallies(tally, { ...emptyTally, passed: 1 });
    }
  };
  return { add, tally: () => tally };
}

function failedBySubtests(error: Error | undefined): boolean {
  return error !== undefined && 'failureType' in error && error.failureType === 'subtestsFailed';
}

/** node:test reports a file as a test of its own only when there is nothing in it to report. */
function isFileItself({ name, nesting, file }: TestOutcome): boolean {
  return nesting === 0 && file !== undefined && (file === name || file.endsWith(`/${name}`));
}

export type RunOptions = {
  /** Of the files' processes. Default that of this process. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly concurrency: number;
  /**
   * A file is ended, and counts as failed, when it shows no progress for so long: no test begins or ends, and nothing is printed.
   * How long it takes as a whole does not matter: a slow machine is not a fault.
   */
  readonly noProgressLimitMs: number;
  readonly signal: AbortSignal;
  /** File names are shown relative to it. */
  readonly root: string;
  readonly write: (text: string) => void;
  /** Told, of a file in which something failed, what did and how; cut where it is long. */
  readonly onFailing: (text: string) => void;
  /** Told how long each file took. */
  readonly onEnded?: (file: string, ms: number) => void;
};

const failingLinesMax = 80;

/** Runs test files, each in a process of its own, and shows each one's results (spec reporter) when it has ended. */
export async function runFiles(files: readonly string[], options: RunOptions): Promise<Tally> {
  const waiting = [...files];
  let tally = emptyTally;
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined && !options.signal.aborted; file = waiting.shift()) {
      const ofFile = await runFile(file, options);
      tally = addTallies(tally, ofFile);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  return tally;
}

async function runFile(file: string, options: RunOptions): Promise<Tally> {
  const { environment = process.env, noProgressLimitMs, signal, root, write, onFailing, onEnded } = options;
  const started = performance.now();
  const limit = new AbortController();
  const counter = createCounter();
  const stream = run({
    files: [file],
    isolation: 'process',
    env: environment,
    // A single test that hangs is named by its own, shorter limit. The option `timeout` would limit the whole file too.
    execArgv: [`--test-timeout=${Math.round(noProgressLimitMs * 0.75)}`],
    signal: AbortSignal.any([signal, limit.signal]),
    cwd: root,
  });
  let running = 'no test had begun';
  const overdue = setTimeout(() => limit.abort(), noProgressLimitMs);
  const progress = (): unknown => overdue.refresh();
  stream.on('test:dequeue', ({ name }) => {
    running = `the last to begin was "${name}"`;
    progress();
  });
  stream.on('test:pass', (outcome) => {
    progress();
    counter.add(true, outcome);
  });
  stream.on('test:fail', (outcome) => {
    progress();
    counter.add(false, outcome);
  });
  stream.on('test:stdout', progress);
  stream.on('test:stderr', progress);
  let report = '';
  for await (const text of stream.compose(spec)) report += String(text);
  clearTimeout(overdue);
  const tally = counter.tally();
  const name = relative(root, file);
  const shown = withoutFigures(report);
  const ms = performance.now() - started;
  onEnded?.(name, ms);
  write(`\n${name}: ${summary(tally)} (${formatSeconds(ms)})\n${shown}`);
  const holdsNothing = tally.passed + tally.failed + tally.skipped === 0 && !signal.aborted;
  const why = limit.signal.aborted
    ? `${name} was ended: no progress for ${formatSeconds(noProgressLimitMs)} (${running}; a hanging test, or a handle left open).\n`
    : holdsNothing
      ? `${name} holds no test.\n`
      : '';
  write(why);
  if (tally.failed === 0 && why === '') return tally;
  onFailing(`${name}: ${summary(tally)}\n${why}${failingOf(shown)}`);
  return { ...tally, failed: Math.max(1, tally.failed) };
}

/** The spec reporter ends with eight figures, which our own line says in one. Diagnostics of tests stay. */
function withoutFigures(report: string): string {
  const figure = /^ℹ (?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;
  const lines = report.split('\n').filter((line) => !figure.test(stripVTControlCharacters(line)));
  return lines.join('\n');
}

/** What the spec reporter says at its end of the tests that failed. */
function failingOf(report: string): string {
  const lines = report.slice(Math.max(0, report.lastIndexOf('✖ failing tests:'))).split('\n');
  return lines.slice(0, failingLinesMax).join('\n');
}
