/**
 * `npm run bench:poller [-- part…]`: measures the poller beside its limits in one run, on a stack of its own, and writes
 * bench/results/poller.md. Parts: snapshot, latency, pages, million, tables; all of them without one. Nothing is asserted: figures of a busy machine
 * say little, and the load is written beside them.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadMillion, loadSideBySide, loadSnapshots, measureLatencies, measurePages, type Section } from './sections.ts';
import { describeMachine } from '../harness/machine.ts';
import { withBenchStack } from '../harness/stack.ts';

const parts: Readonly<Record<string, (say: (line: string) => void, signal: AbortSignal) => Promise<Section>>> = {
  snapshot: loadSnapshots,
  latency: measureLatencies,
  pages: measurePages,
  million: loadMillion,
  tables: loadSideBySide,
};

const controller = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => controller.abort(new Error(`stopped by ${name}`)));
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const asked = process.argv.slice(2);
const unknown = asked.find((part) => !Object.hasOwn(parts, part));
if (unknown === undefined) await main(asked.length === 0 ? Object.keys(parts) : asked);
else {
  say(`unknown part ${unknown}: one of ${Object.keys(parts).join(', ')}`);
  process.exitCode = 64;
}

async function main(names: readonly string[]): Promise<void> {
  const { signal } = controller;
  const sections: Section[] = [];
  await withBenchStack(signal, say, async () => {
    for (const name of names) {
      signal.throwIfAborted();
      say(`— ${name}`);
      const section = await parts[name]?.(say, signal);
      if (section !== undefined) sections.push(section);
    }
  });
  const head = `# Poller\n\n${new Date().toISOString().slice(0, 16)}Z; ${describeMachine()}. Written by \`npm run bench:poller -- ${names.join(' ')}\`.\n`;
  const text = [head, ...sections].join('\n');
  await writeFile(join(import.meta.dirname, '../results/poller.md'), text);
  process.stdout.write(text);
}
