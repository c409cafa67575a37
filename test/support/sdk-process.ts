/** A service as a process of its own, to be killed: takes its settings from SDK_SERVICE. */
import { silentLogger } from '#pipeline/index.ts';
import { consume } from '#sdk/index.ts';
import { recordOne } from './sdk.ts';

const { kafka, group, topic, database } = JSON.parse(process.env['SDK_SERVICE'] ?? '');
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
await using consumer = await consume({
  kafka,
  group,
  topics: { orders: topic },
  database: { ...database, application_name: 'sdk service' },
  logger: silentLogger,
  batch: { changes: 20 },
  signal: stop.signal,
  async handle(changes, tx) {
    for (const change of changes) await recordOne(change, tx);
  },
});
await consumer.finished;
