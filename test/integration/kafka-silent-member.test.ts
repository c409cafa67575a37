import assert from 'node:assert/strict';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import { startMember, type Life } from '#kafka/kafkajs/member.ts';
import { createSockets } from '#kafka/kafkajs/patches/sockets.ts';
import { CdcError } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { uniqueName } from '#test/support/stack.ts';

/** A member that heartbeats at this interval, and is given up after `silenceMs` without. */
async function member(heartbeatInterval: number, silenceMs: number, onConfirmed = (): void => undefined): Promise<Life> {
  const topic = uniqueName('silent');
  await using admin = await (await testKafka()).admin();
  await admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1 }]);
  const sockets = createSockets(null);
  const { brokers } = await testKafkaConfig();
  const client = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING, socketFactory: sockets.create });
  const consumer = client.consumer({ groupId: topic, sessionTimeout: 10_000, heartbeatInterval, maxWaitTimeInMs: 100 });
  const options = { groupId: topic, topics: [topic], onBatch: async (): Promise<void> => undefined, onConfirmed };
  return startMember({ consumer, sockets, silenceMs }, options, AbortSignal.timeout(60_000));
}

test('a member without a heartbeat for its time is given up, and keeps no connection', async () => {
  const { ended } = await member(2000, 500);
  const { error, by } = await ended;
  assert.equal(by, 'kafka');
  assert.ok(error instanceof CdcError);
  assert.match(error.message, /no heartbeat for 0\.5 s/);
  await waitFor(async () => !process.getActiveResourcesInfo().includes('TCPSocketWrap'), {
    signal: AbortSignal.timeout(10_000),
    timeoutMs: 8000,
    describe: 'no connection',
  });
});

test('one that heartbeats within its time stays', async () => {
  const heard = Promise.withResolvers<void>();
  let beats = 0;
  // On for longer than it may be silent; a busy machine may hold a heartbeat up for ten times its interval.
  const [intervalMs, silenceMs] = [400, 5000];
  const since = performance.now();
  const life = await member(intervalMs, silenceMs, () => {
    beats += 1;
    if (beats >= 4 && performance.now() - since > 1.5 * silenceMs) heard.resolve();
  });
  const outcome = await Promise.race([heard.promise.then(() => 'heartbeats'), life.ended.then(() => 'given up')]);
  assert.equal(outcome, 'heartbeats');
  await life.leave();
});
