import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { CdcError } from '#pipeline/index.ts';
import { translateKafkaError } from '#kafka/kafkajs/errors.ts';

const require = createRequire(import.meta.url);

/** kafkajs's own admin, over a cluster none of whose brokers has answered a question for metadata. */
function deafAdmin(): { listTopics(): Promise<unknown> } {
  const createAdmin: (options: unknown) => { listTopics(): Promise<unknown> } = require('kafkajs/src/admin');
  const logger = { namespace: () => logger, debug: () => undefined, error: () => undefined };
  return createAdmin({ logger, cluster: { metadata: async () => null } });
}

test('that no broker answers a question for metadata is reported as unreachable, not as kafkajs stumbles over it', async () => {
  const stumble: unknown = await deafAdmin()
    .listTopics()
    .catch((error: unknown) => error);
  assert.ok(stumble instanceof TypeError);
  const reported = translateKafkaError(stumble, ['kafka:9092'], 'list topics');
  assert.ok(reported instanceof CdcError);
  assert.equal(reported.code, 'KAFKA_UNREACHABLE');
  assert.equal(reported.message, 'could not list topics: no broker answered at kafka:9092');
});

test('a fault of our own keeps its words', () => {
  const fault = new TypeError("Cannot read properties of undefined (reading 'partition')");
  assert.equal(translateKafkaError(fault, ['kafka:9092'], 'list topics'), fault);
});
