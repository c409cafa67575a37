import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownerKey, positionTopic, positionTopicSpec } from '#cdc-poller/position/position-topic.ts';
import { openTablePublisher, type PublisherOptions } from '#cdc-poller/table-publisher.ts';
import { CdcError } from '#pipeline/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import { uniqueName } from '#test/support/stack.ts';

const table = 'public.t';

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`a process that lost Kafka in the middle of a commit has its table again before that transaction times out (${client})`, async () => {
    const kafka = await testKafka(client);
    const pollerName = uniqueName('takeover');
    {
      await using admin = await kafka.admin();
      await admin.ensureTopics([positionTopicSpec(pollerName, 1)]);
    }
    // A transaction of a minute would hold the reader back for as long.
    const signal = AbortSignal.timeout(30_000);
    const options: PublisherOptions = { kafka, pollerName, table, topic: positionTopic(pollerName), owner: 'me', reclaim: false, signal };
    await (await openTablePublisher(options))[Symbol.asyncDispose]();
    {
      const lost = await kafka.transactionalProducer({ transactionalId: `${pollerName}/${table}` });
      await (await lost.begin()).send(positionTopic(pollerName), [{ key: ownerKey('public.other'), value: 'never committed' }]);
      await lost[Symbol.asyncDispose]();
    }
    await using again = await openTablePublisher({ ...options, reclaim: true });
    assert.equal(again.journal.position, null);
    await assert.rejects(
      openTablePublisher({ ...options, owner: 'an older one', reclaim: true }),
      (error) => error instanceof CdcError && error.code === 'PRODUCER_FENCED',
    );
  });
}
