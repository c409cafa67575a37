import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { rawMember, rawMembers } from '#test/support/raw-json.ts';
import { uniqueName } from '#test/support/stack.ts';
import { assertMirror, createSamples, insertSamples, lostByContract, lostByDebezium, sampleRows } from '#test/support/samples-table.ts';
import { typeSamples } from '#test/support/value-samples.ts';

/** Raw text of `after` by row name. */
async function afterByName(kafka: Kafka, topic: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  await readToEnd(kafka, topic, ({ value }) => {
    const after = value === null ? undefined : rawMember(value.toString(), 'after');
    const name = after === undefined ? undefined : rawMember(after, 'name');
    if (after !== undefined && name !== undefined) found.set(name, after);
  });
  return found;
}

test('every type and edge value: `after` is byte-equal under both strategies, loaded and streamed, and mirrors hold what the source holds', async () => {
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  await createSamples(database);
  await insertSamples(database, 'loaded');
  const name = uniqueName('parity');
  const config = await testPipelineConfig(database, { name, tables: [{ table: 'public.samples' }] });
  await using connector = await startTestConnector({ database, tables: ['public.samples'] });
  await using poller = startTestPoller(config);
  await connector.streaming();
  await untilPublished(kafka, config, database);
  await insertSamples(database, 'streamed');
  await untilPublished(kafka, config, database);
  const [logTopic, queryTopic] = [connector.topic('public.samples'), `${name}.public.samples`];
  {
    await using observer = await observeTopics(kafka, [logTopic], uniqueName('group'));
    await observer.until(
      () => observer.messages.length >= 2 * sampleRows.length,
      () => `${observer.messages.length} of ${2 * sampleRows.length} events in ${logTopic}`,
    );
  }
  const [log, query] = [await afterByName(kafka, logTopic), await afterByName(kafka, queryTopic)];
  assert.equal(log.size, 2 * sampleRows.length);
  assert.deepEqual([...query.keys()].toSorted(), [...log.keys()].toSorted());
  const differences: string[] = [];
  let equal = 0;
  for (const [row, logAfter] of log) {
    const queryMembers = new Map(rawMembers(query.get(row) ?? '{}'));
    const logMembers = new Map(rawMembers(logAfter));
    assert.deepEqual([...queryMembers.keys()], [...logMembers.keys()], 'the columns and their order');
    for (const [index, { type, exceptions = {} }] of typeSamples.entries()) {
      const [ours, theirs] = [queryMembers.get(`c${index}`), logMembers.get(`c${index}`)];
      const sample = sampleRows[Number(/\d+/.exec(row)?.[0])]?.[index] ?? '';
      if (ours === theirs) equal += 1;
      if (ours !== theirs && exceptions[sample] === undefined) differences.push(`${row} ${type} ${sample}: query ${ours}, log ${theirs}`);
    }
  }
  assert.deepEqual(differences, []);
  assert.ok(equal > 2 * sampleRows.length * (typeSamples.length - 4));
  await assertMirror(database, name, lostByContract);
  await assertMirror(database, connector.prefix, { ...lostByContract, ...lostByDebezium });
  await poller.stop();
});
