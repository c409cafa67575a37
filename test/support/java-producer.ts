import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { requireJava, resolveJars } from '#stack/index.ts';
import { runProgram } from '#stack/processes/run-program.ts';
import { testStack } from './stack.ts';

/** Sends `count` records, drawn from `lines`, with Kafka's own client in Java. */
export async function produceWithJava(topic: string, lines: readonly string[], count: number, settings: readonly string[]): Promise<void> {
  const { kafka } = await testStack();
  const signal = AbortSignal.timeout(180_000);
  const folder = await mkdtemp(join(tmpdir(), 'cdc-java-producer-'));
  try {
    const payload = join(folder, 'lines');
    await writeFile(payload, lines.join('\n'));
    const jars = await resolveJars('kafka', { signal, progress: () => undefined });
    const program = ['-Xmx128m', '-cp', join(jars, '*'), 'org.apache.kafka.tools.ProducerPerformance'];
    const what = ['--topic', topic, '--throughput', '-1', '--num-records', String(count), '--payload-file', payload];
    const properties = ['--producer-props', `bootstrap.servers=${kafka.brokers}`, ...settings];
    const { code, lines: said } = await runProgram(await requireJava(), [...program, ...what, ...properties], { env: process.env, signal });
    assert.equal(code, 0, said.join('\n'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
