/** A service without a database as a process of its own, to be killed: takes its settings from SDK_SERVICE, and writes each change to a file. */
import { appendFileSync } from 'node:fs';
import { silentLogger } from '#pipeline/index.ts';
import { consume } from '#sdk/index.ts';
import { lineOf } from './at-least-once.ts';

const { kafka, group, topic, file, batch } = JSON.parse(process.env['SDK_SERVICE'] ?? '');
await using consumer = await consume({
  kafka,
  group,
  topics: { orders: topic },
  logger: silentLogger,
  batch: { changes: batch },
  async handle(changes) {
    for (const change of changes) {
      appendFileSync(file, `${lineOf(change)}\n`);
      // Others of the process go on between two changes, as with a service that calls something.
      await new Promise((resolve) => setImmediate(resolve));
    }
  },
});
await consumer.finished;
