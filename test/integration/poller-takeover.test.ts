import assert from 'node:assert/strict';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import { pollerCommand } from '#cdc-poller/commands.ts';
import { chunkKey, ownerKey, positionTopic, positionTopicSpec, tombstone } from '#cdc-poller/position/position-topic.ts';
import { startPosition, type Basis, type Position } from '#cdc-poller/position/position.ts';
import { resetPositions } from '#cdc-poller/positions-view.ts';
import { TableJournal } from '#cdc-poller/position/table-journal.ts';
import { openTablePublisher, type PublisherOptions } from '#cdc-poller/table/table-publisher.ts';
import type { Kafka } from '#kafka/index.ts';
import { CdcError, pipelineSchema, type KafkaConfig } from '#pipeline/index.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { eventually } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';
import { terminal } from '#test/support/terminal.ts';

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`a process that lost Kafka in the middle of a commit has its table again before that transaction times out (${client})`, async () => {
    const table = 'public.t';
    const kafka = await testKafka(client);
    const pollerName = uniqueName('takeover');
    {
      await using admin = await kafka.admin();
      await admin.ensureTopics([positionTopicSpec(pollerName, 1)]);
    }
    // A transaction of a minute would hold the reader back for as long.
    const signal = AbortSignal.timeout(120_000);
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

  test(`a table is taken over where it was committed, however many tables lost Kafka in the middle of a commit (${client})`, async () => {
    const scene = await threeTables(client);
    // Kafka halts: each has written its next position, and none is reported that the broker has it, or commits. Who wrote first is taken over last.
    for (const table of tables) {
      await using lost = await scene.kafka.transactionalProducer({ transactionalId: scene.idOf(table) });
      await (await lost.begin()).send(scene.topic, new TableJournal(table, undefined).entry(positionAt(2n), []).messages);
    }
    for (const table of tables.toReversed()) await scene.take(table);
    for (const table of tables) {
      await using taken = await openTablePublisher(scene.optionsOf(table));
      assert.equal(taken.journal.position?.floor, 1n, table);
    }
  });

  test(`a table is taken over at its last commit, also behind a transaction that another table has left open (${client})`, async () => {
    const scene = await threeTables(client);
    await using slow = await scene.kafka.transactionalProducer({ transactionalId: scene.idOf('public.a') });
    await (await slow.begin()).send(scene.topic, new TableJournal('public.a', undefined).entry(positionAt(2n), []).messages);
    {
      const { messages } = new TableJournal('public.c', undefined).entry(positionAt(3n), []);
      await using quick = await scene.kafka.transactionalProducer({ transactionalId: scene.idOf('public.c') });
      const transaction = await quick.begin();
      await transaction.send(scene.topic, messages);
      await transaction.commit();
    }
    const stopped = Promise.withResolvers<void>();
    const kafka: Kafka = {
      ...scene.kafka,
      reader: async (options) => {
        const reader = await scene.kafka.reader(options);
        return {
          fetch: async (places) => {
            const fetched = await reader.fetch(places);
            stopped.resolve();
            return fetched;
          },
          [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
        };
      },
    };
    const taking = openTablePublisher({ ...scene.optionsOf('public.c'), kafka });
    // What is before the open transaction has been read.
    await stopped.promise;
    await scene.take('public.a');
    await using taken = await taking;
    assert.equal(taken.journal.position?.floor, 3n);
  });
}

/** Ways in which others can take remembered keys away; a topic that is compacted alone gives nothing away by itself. */
const losses: readonly (readonly [how: string, policy: string, lose: (topic: string, kafka: Kafka) => Promise<void>])[] = [
  // As a retention does: the topic was made by somebody else.
  [
    'a retention has deleted the oldest records',
    'delete',
    async (topic) => {
      const { brokers } = await testKafkaConfig();
      const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
      await admin.connect();
      try {
        // Which reports the topic to it.
        await admin.fetchTopicOffsets(topic);
        await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] });
      } finally {
        await admin.disconnect();
      }
    },
  ],
  [
    'somebody has deleted a key',
    'compact',
    async (topic, kafka) => {
      await using other = await kafka.transactionalProducer({ transactionalId: uniqueName('other') });
      const transaction = await other.begin();
      await transaction.send(topic, [tombstone(chunkKey('public.t', 0))]);
      await transaction.commit();
    },
  ],
];

for (const [how, policy, lose] of losses) {
  test(`${how}: a position whose remembered keys are gone is refused with its place, and only a reset goes on`, async () => {
    const kafka = await testKafka();
    const pollerName = uniqueName('incomplete');
    const topic = positionTopic(pollerName);
    const table = 'public.t';
    const options: PublisherOptions = {
      kafka,
      pollerName,
      table,
      topic,
      owner: 'me',
      reclaim: false,
      signal: AbortSignal.timeout(120_000),
    };
    {
      await using admin = await kafka.admin();
      await admin.ensureTopics([{ ...positionTopicSpec(pollerName, 1), config: { 'cleanup.policy': policy } }]);
    }
    {
      // Owner 0, keys 2, position 3, keys 5, position 6; between them are the markers of the transactions.
      await using publisher = await openTablePublisher(options);
      await publisher.commit(positionAt(1n), [[5n, 'first']]);
      await publisher.commit(positionAt(2n), [[6n, 'second']]);
    }
    {
      await using whole = await openTablePublisher(options);
      assert.deepEqual(
        [...whole.journal.remembered.entries()],
        [
          [5n, new Set(['first'])],
          [6n, new Set(['second'])],
        ],
      );
    }
    await lose(topic, kafka);
    await assert.rejects(openTablePublisher(options), (error) => {
      assert.ok(error instanceof CdcError);
      assert.equal(error.code, 'POSITION_INCOMPLETE');
      assert.match(error.message, new RegExp(`table public\\.t \\(topic ${topic}, partition 0, offset 6\\).*"chunk":0`));
      assert.match(error.remedy, /cdc poller reset --table public\.t/);
      return true;
    });
    assert.deepEqual(await resetPositions(kafka, pollerName, [table]), [table]);
    await using again = await openTablePublisher(options);
    assert.equal(again.journal.position, null);
  });
}

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`status that waits for a table's open transaction says which, and goes on when that table is taken over (${client})`, async () => {
    const scene = await threeTables(client);
    await using killed = await scene.kafka.transactionalProducer({ transactionalId: scene.idOf('public.b') });
    await (await killed.begin()).send(scene.topic, new TableJournal('public.b', undefined).entry(positionAt(2n), []).messages);
    const config = pipelineSchema.parse({
      legacyDb: { database: 'none', roles: { poller: { user: 'none' } } },
      kafka: await testKafkaConfig(client),
      poller: { name: scene.pollerName, topicPrefix: scene.pollerName, tables: tables.map((table) => ({ table })) },
    });
    await using status = terminal(pollerCommand, config).start('status');
    const [line] = await eventually(
      async () => status.progress,
      (lines) => lines.length > 0,
    );
    assert.match(
      line ?? '',
      new RegExp(
        `^reading ${scene.topic} \\(\\d+ s\\): it waits for the end of a transaction of table public\\.b \\(partition 0, offset \\d+\\)`,
      ),
    );
    assert.deepEqual(status.printed, []);
    await scene.take('public.b');
    await eventually(
      async () => status.printed,
      (printed) => /public\.b +│ loading/.test(printed.join()),
    );
  });
}

const tables = ['public.a', 'public.b', 'public.c'] as const;

/** Three tables of a poller, each with a position whose floor is 1. */
async function threeTables(client: KafkaConfig['client']) {
  const kafka = await testKafka(client);
  const pollerName = uniqueName('takeover');
  const topic = positionTopic(pollerName);
  const signal = AbortSignal.timeout(120_000);
  const idOf = (table: string): string => `${pollerName}/${table}`;
  const optionsOf = (table: string): PublisherOptions => ({ kafka, pollerName, table, topic, owner: 'me', reclaim: false, signal });
  {
    await using admin = await kafka.admin();
    await admin.ensureTopics([positionTopicSpec(pollerName, 1)]);
  }
  for (const table of tables) {
    await using publisher = await openTablePublisher(optionsOf(table));
    await publisher.commit(positionAt(1n), []);
  }
  return {
    kafka,
    pollerName,
    topic,
    idOf,
    optionsOf,
    /** Ends the table's open transaction, as whoever takes it over does. */
    take: async (table: string) => {
      await (await kafka.transactionalProducer({ transactionalId: idOf(table) }))[Symbol.asyncDispose]();
    },
  };
}

function positionAt(floor: bigint): Position {
  const seen = { clock: floor, open: new Set<string>(), snapshot: { xmin: 1n, xmax: 1n } };
  const basis: Basis = { capture: 'time', by: ['updated_at'], order: ['updated_at', 'id'], key: ['id'] };
  return startPosition({ systemIdentifier: '1', timeline: '1', basis, relation: null, start: 'everything', margin: 0n, high: null }, seen);
}
