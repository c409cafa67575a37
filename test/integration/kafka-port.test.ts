import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { connectKafka, readToEnd, type ConsumedMessage, type GroupConsumer, type Kafka, type KafkaTransaction } from '#kafka/index.ts';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { observeTopics, testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { uniqueName } from '#test/support/stack.ts';

async function makeTopic(kafka: Kafka, partitions = 3, config: Record<string, string> = {}): Promise<string> {
  const topic = uniqueName('port');
  await using admin = await kafka.admin();
  await admin.ensureTopics([{ topic, partitions, replicationFactor: 1, config }]);
  return topic;
}

async function readValues(kafka: Kafka, topic: string): Promise<string[]> {
  const values: string[] = [];
  await readToEnd(kafka, topic, ({ value }) => values.push(String(value)));
  return values;
}

const asBytes = (content: string | Buffer | null): Buffer | null => (typeof content === 'string' ? Buffer.from(content) : content);
const nothing = (): void => undefined;
const refused = (error: unknown): boolean => error instanceof CdcError && error.code === 'KAFKA_MESSAGE_TOO_LARGE';

async function until(describe: string, condition: () => boolean): Promise<void> {
  await waitFor(async () => condition(), { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, describe });
}

for (const client of ['kafkajs', 'platformatic'] as const) {
  suite(client, () => {
    test('a committed transaction is read whole, an aborted one not at all', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka);
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      const kept = await producer.begin();
      await kept.send(topic, [
        { key: 'a', value: '1' },
        { key: 'b', value: '2' },
      ]);
      await kept.commit();
      const dropped = await producer.begin();
      await dropped.send(topic, [{ key: 'a', value: '3' }]);
      await dropped.abort();
      const after = await producer.begin();
      await after.send(topic, [{ key: 'a', value: null, headers: { why: 'gone' } }]);
      await after.commit();
      const values = await readValues(kafka, topic);
      assert.deepEqual(values.toSorted(), ['1', '2', 'null']);
    });

    // The broker names aborted transactions in the order in which they ended.
    test('transactions of several producers that were aborted in another order than they began are not read, and what was committed between them is', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 1);
      await using producers = new AsyncDisposableStack();
      const open: KafkaTransaction[] = [];
      for (const name of ['a', 'b', 'c', 'd']) {
        const producer = producers.use(await kafka.transactionalProducer({ transactionalId: `${topic}-${name}` }));
        const transaction = await producer.begin();
        await transaction.send(topic, [{ key: name, value: `aborted ${name}` }]);
        open.push(transaction);
      }
      await using keeper = await kafka.transactionalProducer({ transactionalId: topic });
      for (const transaction of open.toReversed()) {
        const kept = await keeper.begin();
        await kept.send(topic, [{ key: 'kept', value: 'kept' }]);
        await kept.commit();
        await transaction.abort();
      }
      assert.deepEqual(await readValues(kafka, topic), ['kept', 'kept', 'kept', 'kept']);
    });

    test('a newer producer of the same transactional id fences the older and ends its transaction', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka);
      await using older = await kafka.transactionalProducer({ transactionalId: topic });
      const open = await older.begin();
      await open.send(topic, [{ key: 'a', value: 'of the older' }]);
      await using newer = await kafka.transactionalProducer({ transactionalId: topic });
      await assert.rejects(open.commit(), (error) => error instanceof CdcError && error.code === 'PRODUCER_FENCED');
      const transaction = await newer.begin();
      await transaction.send(topic, [{ key: 'a', value: 'of the newer' }]);
      await transaction.commit();
      assert.deepEqual(await readValues(kafka, topic), ['of the newer']);
    });

    test('messages of one key keep their order across requests, and land where a Java client would put them', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka);
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      const transaction = await producer.begin();
      await transaction.send(
        topic,
        Array.from({ length: 3000 }, (_, index) => ({ key: `{"id":${index % 7}}`, value: String(index) })),
      );
      await transaction.commit();
      await using observer = await observeTopics(kafka, [topic], uniqueName('group'));
      await observer.until(
        () => observer.messages.length >= 3000,
        () => `${observer.messages.length} of 3000 messages`,
      );
      const partitions = new Map<string, Set<number>>();
      const last = new Map<string, number>();
      for (const { key, value, partition } of observer.messages) {
        const name = String(key);
        partitions.set(name, (partitions.get(name) ?? new Set()).add(partition));
        assert.ok(Number(value) > (last.get(name) ?? -1), `key ${name}: ${String(value)} after ${last.get(name)}`);
        last.set(name, Number(value));
      }
      assert.ok([...partitions.values()].every((set) => set.size === 1));
    });

    test('a message beyond max.message.bytes is refused by its key and topic', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 1, { 'max.message.bytes': '2000' });
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      const transaction = await producer.begin();
      const noise = Array.from({ length: 3000 }, () => String.fromCodePoint(33 + Math.floor(Math.random() * 90))).join('');
      await assert.rejects(
        transaction.send(topic, [{ key: '{"id":7}', value: noise }]),
        (error) =>
          error instanceof CdcError &&
          error.code === 'KAFKA_MESSAGE_TOO_LARGE' &&
          error.message.includes('{"id":7}') &&
          error.message.includes(topic),
      );
    });

    test('a producer that failed is spent: nothing it does later can be taken for what the broker has of it', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 1, { 'max.message.bytes': '20000' });
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      const transaction = await producer.begin();
      await transaction.send(topic, [{ key: 'a', value: 'aborted' }]);
      await assert.rejects(transaction.send(topic, [{ key: 'a', value: randomBytes(40_000).toString('base64') }]), refused);
      await assert.rejects(transaction.send(topic, [{ key: 'a', value: 'in its place' }]), refused);
      await assert.rejects(transaction.commit(), refused);
      await assert.rejects(transaction.abort(), refused);
      await assert.rejects(producer.begin(), refused);
      await using next = await kafka.transactionalProducer({ transactionalId: topic });
      const kept = await next.begin();
      await kept.send(topic, [{ key: 'a', value: 'kept' }]);
      await kept.commit();
      assert.deepEqual(await readValues(kafka, topic), ['kept']);
    });

    test('a consumer goes where it seeks, and what onBatch throws stops it', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 1);
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      const transaction = await producer.begin();
      await transaction.send(
        topic,
        Array.from({ length: 10 }, (_, index) => ({ key: 'k', value: String(index) })),
      );
      await transaction.commit();
      const batches: string[][] = [];
      await using consumer = await kafka.consumer({
        groupId: uniqueName('group'),
        topics: [topic],
        onBatch: async (batch, control) => {
          batches.push(batch.messages.map(({ value }) => String(value)));
          if (batches.length === 1) control.seek(7n);
          else throw new RangeError('enough');
        },
      });
      await assert.rejects(consumer.closed, /enough/);
      assert.deepEqual(batches[1], ['7', '8', '9']);
      assert.equal(batches.length, 2);
    });

    test('an address where no broker answers becomes one error that names it', async () => {
      const config = { ...(await testKafkaConfig(client)), brokers: ['127.0.0.1:1'] };
      const kafka = connectKafka(config, silentLogger);
      await assert.rejects(
        kafka.admin(),
        (error) => error instanceof CdcError && error.code === 'KAFKA_UNREACHABLE' && error.message.includes('127.0.0.1:1'),
      );
    });

    test('a topic that does not exist is named at once', async () => {
      const kafka = await testKafka(client);
      const missing = uniqueName('missing');
      await assert.rejects(
        kafka.consumer({ groupId: uniqueName('group'), topics: [missing], onBatch: async () => undefined }),
        (error) => error instanceof CdcError && error.code === 'TOPIC_MISSING' && error.message.includes(missing),
      );
    });

    test('what an aborted transaction left is not seen, however many fetches it takes, and its end is found', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 1);
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      // Compressed, random text keeps its size: several fetches of the consumer's 1 MiB.
      const noise = Array.from({ length: 60 }, (_, index) => ({ key: String(index), value: randomBytes(45_000).toString('base64') }));
      const kept = await producer.begin();
      await kept.send(topic, [{ key: 'kept', value: 'before' }]);
      await kept.commit();
      const dropped = await producer.begin();
      await dropped.send(topic, noise);
      await dropped.abort();
      assert.deepEqual(await readValues(kafka, topic), ['before']);
      const after = await producer.begin();
      await after.send(topic, [{ key: 'kept', value: 'after' }]);
      await after.commit();
      const droppedAgain = await producer.begin();
      await droppedAgain.send(topic, noise.slice(0, 3));
      await droppedAgain.abort();
      assert.deepEqual(await readValues(kafka, topic), ['before', 'after']);
    });

    test('aborted transactions that lie in one another are not seen, wherever a fetch begins among them', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 1);
      // Three producers with open transactions, as the tables of a poller have when Kafka halts. They do not end in the order in which they began, and a reader stops before the middle one.
      const opened = [];
      await using clients = new AsyncDisposableStack();
      for (const name of ['first', 'middle', 'last']) {
        const producer = clients.use(await kafka.transactionalProducer({ transactionalId: `${topic}-${name}` }));
        const transaction = await producer.begin();
        await transaction.send(topic, [{ key: name, value: `aborted ${name}` }]);
        opened.push({ name, producer, transaction });
      }
      for (const { name, transaction } of opened.toReversed()) if (name !== 'middle') await transaction.abort();
      const values: string[] = [];
      let next = 0n;
      const consumer = await kafka.consumer({
        groupId: uniqueName('group'),
        topics: [topic],
        maxWaitMs: 20,
        onBatch: async ({ messages }) => {
          values.push(...messages.map(({ value }) => String(value)));
        },
        onProgress: (_topic, _partition, offset) => {
          next = offset;
        },
      });
      clients.use(consumer);
      await until('the reader stops before the transaction in the middle', () => next === 1n);
      for (const { name, transaction } of opened) if (name === 'middle') await transaction.abort();
      for (const { name, producer } of opened) {
        const transaction = await producer.begin();
        await transaction.send(topic, [{ key: name, value: `kept ${name}` }]);
        await transaction.commit();
      }
      await until('the last one that was kept', () => next >= 11n);
      assert.deepEqual(values, ['kept first', 'kept middle', 'kept last']);
    });

    test('a topic is read to its end, also to what was committed behind a transaction that is still open', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 1);
      await using slow = await kafka.transactionalProducer({ transactionalId: `${topic}-slow` });
      await using quick = await kafka.transactionalProducer({ transactionalId: `${topic}-quick` });
      const open = await slow.begin();
      await open.send(topic, [{ key: 'slow', value: 'slow' }]);
      const committed = await quick.begin();
      await committed.send(topic, [{ key: 'quick', value: 'quick' }]);
      await committed.commit();
      await using admin = await kafka.admin();
      assert.deepEqual(await admin.offsetsOf(topic), [{ partition: 0, low: 0n, high: 3n }]);
      const reading = readValues(kafka, topic);
      await open.commit();
      assert.deepEqual(await reading, ['slow', 'quick']);
    });

    test('text beyond ASCII, bytes, nulls and headers arrive as they were sent', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 1);
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      const sent = [
        { key: 'é€', value: 'ü€𝄞ï'.repeat(5000), headers: { näme: 'wért' } },
        { key: Buffer.from([0, 255, 1]), value: Buffer.from([128, 0, 7]) },
        { key: null, value: 'é€' },
        { key: 'k', value: null },
        { key: '', value: '' },
      ];
      const transaction = await producer.begin();
      await transaction.send(topic, sent);
      await transaction.commit();
      const read: ConsumedMessage[] = [];
      await readToEnd(kafka, topic, (message) => read.push(message));
      assert.deepEqual(
        read.map(({ key, value, headers }) => ({ key, value, headers })),
        sent.map(({ key, value, headers = {} }) => ({ key: asBytes(key), value: asBytes(value), headers })),
      );
    });

    test('what one sends while another reads is read by offset, in one partition, without a gap', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 1);
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      await using observer = await observeTopics(kafka, [topic], uniqueName('group'));
      for (let round = 0; round < 20; round += 1) {
        const transaction = await producer.begin();
        await transaction.send(topic, [{ key: 'k', value: String(2 * round) }]);
        await transaction.send(topic, [{ key: 'k', value: String(2 * round + 1) }]);
        await transaction.commit();
      }
      await observer.until(
        () => observer.messages.length >= 40,
        () => `${observer.messages.length} of 40 messages`,
      );
      assert.deepEqual(
        observer.messages.map(({ value }) => Number(value)),
        Array.from({ length: 40 }, (_, index) => index),
      );
    });

    test('members of a group share the partitions, are reported their own, and take over from one that leaves', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 4);
      const groupId = uniqueName('group');
      const held = new Map<string, readonly number[]>();
      let check = nothing;
      const join = (name: string): Promise<GroupConsumer> =>
        kafka.consumer({
          groupId,
          topics: [topic],
          sessionTimeoutMs: 6000,
          onBatch: async () => undefined,
          onAssigned: (assignment) => {
            held.set(name, assignment[topic] ?? []);
            check();
          },
        });
      const untilHeld = async (condition: () => boolean): Promise<void> => {
        const met = Promise.withResolvers<void>();
        const timer = setTimeout(() => met.reject(new Error(`assignments: ${JSON.stringify([...held])}`)), 60_000);
        check = () => {
          if (condition()) met.resolve();
        };
        check();
        await met.promise.finally(() => clearTimeout(timer));
      };
      const all = (): string =>
        [...held.values()]
          .flat()
          .toSorted((a, b) => a - b)
          .join();
      await using stays = await join('stays');
      await untilHeld(() => all() === '0,1,2,3');
      {
        await using leaves = await join('leaves');
        await untilHeld(() => held.get('stays')?.length === 2 && held.get('leaves')?.length === 2 && all() === '0,1,2,3');
        assert.ok(leaves.closed instanceof Promise);
      }
      held.delete('leaves');
      await untilHeld(() => held.get('stays')?.length === 4);
      assert.equal(typeof stays.closed.then, 'function');
    });

    test('a partition that has gone to another member is read by that one alone', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka, 2);
      const groupId = uniqueName('group');
      const seen = new Map<string, number[]>();
      const held = new Map<string, readonly number[]>();
      const join = (name: string): Promise<GroupConsumer> =>
        kafka.consumer({
          groupId,
          topics: [topic],
          sessionTimeoutMs: 6000,
          maxWaitMs: 20,
          onBatch: async ({ partition, messages }) => {
            seen.set(name, [...(seen.get(name) ?? []), ...messages.map(() => partition)]);
          },
          onAssigned: (assignment) => held.set(name, assignment[topic] ?? []),
        });
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      const sendToAll = async (): Promise<void> => {
        const transaction = await producer.begin();
        await transaction.send(
          topic,
          [0, 1].map((partition) => ({ key: 'k', value: 'v', partition })),
        );
        await transaction.commit();
      };
      const count = (partition: number): number => [...seen.values()].flat().filter((from) => from === partition).length;
      await using first = await join('first');
      await sendToAll();
      await until('the first reads both', () => count(0) === 1 && count(1) === 1);
      await using second = await join('second');
      await until('both have one', () => held.get('first')?.length === 1 && held.get('second')?.length === 1);
      const [kept, lost] = held.get('first')?.[0] === 0 ? [0, 1] : [1, 0];
      // The second begins at the start: its offsets are stored nowhere.
      await until('the second has read what was there', () => seen.get('second')?.length === 1);
      seen.clear();
      for (let round = 0; round < 3; round += 1) await sendToAll();
      await until('each message is read', () => count(0) >= 3 && count(1) >= 3);
      assert.deepEqual(Object.fromEntries(seen), { first: [kept, kept, kept], second: [lost, lost, lost] });
      await second[Symbol.asyncDispose]();
      await sendToAll();
      await until('who is left reads both again', () => seen.get('first')?.includes(lost) === true);
      assert.ok(first.closed instanceof Promise);
    });
  });
}
