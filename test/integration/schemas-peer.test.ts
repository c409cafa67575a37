import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AvroDeserializer, AvroSerializer, SchemaRegistryClient, SerdeType } from '@confluentinc/schemaregistry';
import { eventDecoder, parseLossless } from '#change-events/index.ts';
import { readToEnd, type ConsumedMessage } from '#kafka/index.ts';
import { longsAsBigints } from '#test/support/avro-events.ts';
import { deleteTopicsOf, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { testRegistryConfig } from '#test/support/registry.ts';
import { createSamples, insertSamples, sampleRows } from '#test/support/samples-table.ts';
import { uniqueName } from '#test/support/stack.ts';

test('Confluent’s AvroDeserializer reads what the poller writes, of every type, and the decoder reads what its AvroSerializer writes', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await createSamples(database);
  await insertSamples(database, 'load');
  const [kafka, schemaRegistry] = [await testKafka(), await testRegistryConfig()];
  const name = uniqueName('peer');
  const topic = `${name}.public.samples`;
  const config = await testPipelineConfig(database, { name, format: 'avro', tables: [{ table: 'public.samples' }] });
  {
    await using poller = startTestPoller(config);
    await Promise.race([untilPublished(kafka, config, database), poller.ended]);
    await poller.stop();
  }
  const messages: ConsumedMessage[] = [];
  await readToEnd(kafka, topic, (message) => messages.push(message));
  assert.equal(messages.length, sampleRows.length);

  const client = new SchemaRegistryClient({ baseURLs: [schemaRegistry.url] });
  const decoder = eventDecoder(schemaRegistry);
  await decoder.prepare(messages);
  for (const [type, part] of [
    [SerdeType.KEY, 'key'],
    [SerdeType.VALUE, 'value'],
  ] as const) {
    const reader = new AvroDeserializer(client, type, longsAsBigints);
    const writer = new AvroSerializer(client, type, { ...longsAsBigints, autoRegisterSchemas: false, useLatestVersion: true });
    for (const message of messages) {
      const ours = message[part];
      assert.ok(ours);
      const read: unknown = await reader.deserialize(topic, ours);
      const meant = parseLossless(decoder.text(ours) ?? '');
      assertSame(meant, read, part);
      // The same bytes, and so what the decoder reads from them is the same too.
      const theirs = await writer.serialize(topic, read);
      assert.deepEqual(theirs, ours);
      assert.deepEqual(parseLossless(decoder.text(theirs) ?? ''), meant);
    }
  }
  await deleteTopicsOf(name);
});

/** Asserts that a value of the contract is the one that the peer read; `path` names it. */
function assertSame(meant: unknown, read: unknown, path: string): void {
  if (Buffer.isBuffer(read)) assert.equal(meant, read.toString('base64'), path);
  else if (typeof read === 'bigint') assert.equal(BigInt(String(meant)), read, path);
  // A float has more digits as a double. JSON has no text for what is not finite.
  else if (typeof read === 'number')
    assert.ok(
      [Number(meant), Math.fround(Number(meant))].some((one) => Object.is(one, read)),
      path,
    );
  else if (typeof read !== 'object' || read === null) assert.equal(meant, read, path);
  else {
    assert.ok(typeof meant === 'object' && meant !== null, path);
    assert.deepEqual(Object.keys(meant), Object.keys(read), path);
    const members = new Map(Object.entries(meant));
    for (const [key, value] of Object.entries(read)) assertSame(members.get(key), value, `${path}.${key}`);
  }
}
