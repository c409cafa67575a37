/**
 * Runs the tests: `node test/run.ts unit package integration containers [part of a file name…]`. Unit tests need no server and run first;
 * package tests neither, but npm's registry or cache.
 * Integration tests share one stack of real servers, started here and removed at the end (CDC_TEST_STACK=<folder of a running stack> uses
 * that one and leaves it). Container tests run where a Docker engine answers, else one line says why not (with CI=true that is
 * a failure). The last line is `N passed, N failed[, N skipped]`; the exit code is 0 only when something ran and nothing failed.
 */
import { glob, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CdcError, describeError } from '#pipeline/index.ts';
import { formatSeconds, hasMariadb, resetStack, startStack } from '#stack/index.ts';
import { removeAbandonedContainers } from './support/compose.ts';
import { prepareImages, whyNoContainers } from './support/container-images.ts';
import { addTallies, emptyTally, runFiles, summary, type Tally } from './support/run-files.ts';
import { isAlive } from './support/is-alive.ts';

const root = join(import.meta.dirname, '..');
const phases = ['unit', 'package', 'integration', 'containers'] as const;
type Phase = (typeof phases)[number];

/** A file in which no test begins or ends for so long hangs: it is ended, and named. At night single tests are long. */
const nightly = process.env['TEST_NIGHTLY'] === '1';
const noProgressLimitMs = {
  unit: 120_000,
  package: 480_000,
  integration: nightly ? 40 * 60_000 : 480_000,
  containers: nightly ? 15 * 60_000 : 600_000,
} satisfies Record<Phase, number>;
/**
 * Tests with servers wait for them more than they work. Tried with two cores: the container tests beside these, or the slow files first, make all of them slower
 * than their limits.
 */
const concurrency = { unit: 2, package: 1, integration: 3, containers: 2 } satisfies Record<Phase, number>;

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (interrupted.signal.aborted) return;
    say(`${name}: stopping`);
    interrupted.abort(new Error(`stopped by ${name}`));
  });
}

const nodeOptions = process.env['NODE_OPTIONS'] ?? '';
// What is meant for another run must not reach the files' processes.
delete process.env['NODE_OPTIONS'];
delete process.env['NODE_TEST_CONTEXT'];
// The same sources are loaded by hundreds of processes: stripped of types and compiled once. Where cli.ts keeps them too.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'node-compile-cache');

/** Said again at the end: between a failure and the last line there are hundreds of tests that passed. */
const failing: string[] = [];

/** How long each file took, in ms. */
const times = new Map<string, number>();
/** So many are listed at the end: where the run's time goes. */
const slowestShown = 10;

const exitCode = await main(process.argv.slice(2));
// All is said. Processes of a file that was ended at its limit may still hold that file's output, and must not hold this run.
process.exit(exitCode);

async function main(args: readonly string[]): Promise<number> {
  const wanted = phases.filter((phase) => args.includes(phase));
  const parts = args.filter((arg) => !phases.some((phase) => phase === arg));
  const option = parts.find((part) => part.startsWith('-'));
  if (wanted.length === 0 || option !== undefined) {
    say(
      `${option === undefined ? 'No phase given' : `Unknown option ${option}`}: node test/run.ts unit|package|integration|containers [part of a file name…]`,
    );
    return 64;
  }
  if (nodeOptions.includes('--test')) {
    say(`NODE_OPTIONS is "${nodeOptions}", which could leave tests out unseen: unset it.`);
    return 64;
  }
  let tally = emptyTally;
  for (const phase of wanted) {
    if (interrupted.signal.aborted) break;
    tally = addTallies(tally, await runPhase(phase, parts));
  }
  if (times.size > slowestShown) {
    const slowest = [...times].toSorted(([, a], [, b]) => b - a).slice(0, slowestShown);
    say(`\nslowest files:\n${slowest.map(([file, ms]) => `  ${formatSeconds(ms).padStart(10)}  ${file}`).join('\n')}`);
  }
  for (const text of failing) say(`\nFailed in ${text}`);
  if (tally.passed + tally.failed === 0) say('No test ran: that is a failure.');
  if (interrupted.signal.aborted) say('Interrupted: not all tests ran.');
  say(summary(tally));
  if (interrupted.signal.aborted) return 130;
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

async function runPhase(phase: Phase, parts: readonly string[]): Promise<Tally> {
  const started = performance.now();
  const files = await testFiles(phase, parts);
  say(`\n${phase}: ${files.length} file${files.length === 1 ? '' : 's'}`);
  if (files.length === 0) return emptyTally;
  const run: Run = (variables) =>
    runFiles(files, {
      environment: { ...process.env, ...variables },
      concurrency: concurrency[phase],
      noProgressLimitMs: noProgressLimitMs[phase],
      signal: interrupted.signal,
      root,
      write: (text) => process.stdout.write(text),
      onFailing: (text) => failing.push(text),
      onEnded: (file, ms) => times.set(file, ms),
    });
  const around = {
    unit: (work: Run) => work({}),
    package: (work: Run) => work({}),
    integration: withStack,
    containers: withImages,
  } satisfies Record<Phase, unknown>;
  const tally = await around[phase](run);
  say(`${phase}: ${summary(tally)} (${formatSeconds(performance.now() - started)})`);
  return tally;
}

/** Runs a phase's files with these variables over those of this process. */
type Run = (variables: Readonly<Record<string, string>>) => Promise<Tally>;

async function testFiles(phase: Phase, parts: readonly string[]): Promise<string[]> {
  const found = await Array.fromAsync(glob('**/*.test.ts', { cwd: join(import.meta.dirname, phase) }));
  const chosen = found.filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)));
  return chosen.toSorted().map((file) => join(import.meta.dirname, phase, file));
}

/** A stack that cannot be started, or stopped, is a failure like a test's. */
async function withStack(run: Run): Promise<Tally> {
  const given = process.env['CDC_TEST_STACK'];
  if (given !== undefined && given !== '') {
    say(`using the stack in ${given} (CDC_TEST_STACK)`);
    return run({});
  }
  const folder = join(root, '.cdc', `test-${process.pid}`);
  let tally = emptyTally;
  try {
    await removeAbandonedStacks();
    await startStack({
      folder,
      throwaway: true,
      mariadb: hasMariadb(),
      h2: true,
      registry: true,
      progress: say,
      signal: interrupted.signal,
    });
    tally = await run({ CDC_TEST_STACK: folder });
  } catch (error) {
    if (!interrupted.signal.aborted) tally = failure(tally, error);
  }
  try {
    await resetStack(folder, { progress: say });
  } catch (error) {
    tally = failure(tally, error);
  }
  return tally;
}

/** Container tests need an engine, and images: official ones, or stand-ins where nothing can be pulled. */
async function withImages(run: Run): Promise<Tally> {
  const why = await whyNoContainers();
  if (why !== null) {
    say(`containers: skipped, ${why}`);
    if (process.env['CI'] !== 'true') return emptyTally;
    say('CI must run them: containers/engine starts a Docker engine on Debian.');
    return { ...emptyTally, failed: 1 };
  }
  let images: Awaited<ReturnType<typeof prepareImages>>;
  try {
    const started = performance.now();
    await removeAbandonedContainers(say);
    images = await prepareImages({ signal: interrupted.signal, say });
    say(`images are ready (${formatSeconds(performance.now() - started)})`);
  } catch (error) {
    return interrupted.signal.aborted ? emptyTally : failure(emptyTally, error);
  }
  // Its helper image cannot be pulled everywhere; each test removes what it starts.
  return run({ TESTCONTAINERS_RYUK_DISABLED: process.env['TESTCONTAINERS_RYUK_DISABLED'] ?? 'true', ...images });
}

function failure(tally: Tally, error: unknown): Tally {
  say(error instanceof CdcError ? `${error.code}: ${error.message}\n  remedy: ${error.remedy}` : describeError(error));
  return { ...tally, failed: tally.failed + 1 };
}

/** Stacks of runs that were killed (kill -9) before they could stop them. */
async function removeAbandonedStacks(): Promise<void> {
  const folders = await readdir(join(root, '.cdc')).catch(() => []);
  for (const name of folders) {
    const pid = /^test-(\d+)$/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    say(`removing the stack that test run ${pid} left behind`);
    await resetStack(join(root, '.cdc', name), { progress: say });
  }
}
