import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { topicRefusals } from '#cdc-poller/supervisor/topic-refusals.ts';
import { eventTopic } from '#cdc-poller/supervisor/topics.ts';
import { formatTableId, heartbeatTopic } from '#change-events/index.ts';
import { pipelineSchema } from '#pipeline/config/schema.ts';
import { hostileName } from '#test/support/hostile-names.ts';

const pollerOf = (tables: readonly unknown[], topicPrefix = 'q') => {
  const { poller } = pipelineSchema.parse({
    legacyDb: { database: 'd', roles: { poller: { user: 'p' } } },
    kafka: { brokers: 'b:1' },
    poller: { name: 'p', topicPrefix, tables },
  });
  return poller ?? assert.fail();
};
const refusedOf = (tables: readonly unknown[], holders: readonly string[] = [], prefix?: string): ReadonlyMap<string, string> => {
  const poller = pollerOf(tables, prefix);
  return new Map([...topicRefusals(poller, poller.tables, new Set(holders))].map(([table, { message }]) => [table, message]));
};

test('tables whose topics would be one are refused, each by the other’s name; a topic of its own is the way out', () => {
  const tables = [{ table: 'public.x y' }, { table: 'public.x_y' }, { table: 'public.other' }];
  const refused = refusedOf(tables);
  assert.deepEqual([...refused.keys()], ['public.x y', 'public.x_y']);
  assert.match(refused.get('public.x y') ?? '', /topic q\.public\.x_y with table public\.x_y/);
  assert.deepEqual([...refusedOf([{ table: 'public.x y', topic: 'apart' }, ...tables.slice(1)]).keys()], []);
});

test('whoever is polled already keeps the topic; where several are, nobody gets it', () => {
  const tables = [{ table: 'public.x y' }, { table: 'public.x_y' }];
  assert.deepEqual([...refusedOf(tables, ['public.x_y']).keys()], ['public.x y']);
  assert.deepEqual([...refusedOf(tables, ['public.x_y', 'public.x y']).keys()], ['public.x y', 'public.x_y']);
});

test('a dot and an underscore are one to Kafka, and so are a dot in a name and the one between names', () => {
  assert.equal(refusedOf([{ table: 'a_b.c' }, { table: 'a.b_c' }, { table: 'd.e' }]).size, 2);
  assert.equal(refusedOf([{ table: '"a.b".c' }, { table: 'a."b.c"' }, { table: 'd.e' }]).size, 2);
});

test('no table gets a topic of the poller’s own, nor one that Kafka does not take', () => {
  assert.equal(refusedOf([{ table: 'cdc.heartbeat' }]).size, 1);
  assert.equal(refusedOf([{ table: 'a.b', topic: heartbeatTopic('q') }]).size, 1);
  assert.match([...refusedOf([{ table: 'a.b' }], [], 'p'.repeat(249)).values()].join(''), /Kafka takes 249/);
  for (const topic of ['.', '..']) assert.throws(() => pollerOf([{ table: 'a.b', topic }]));
});

test('of whatever tables there are, those that are polled have topics apart', () => {
  const id = fc.record({ schema: hostileName(63), table: hostileName(63) }, { noNullPrototype: true });
  fc.assert(
    fc.property(
      fc.uniqueArray(id, { minLength: 1, maxLength: 30, selector: formatTableId }),
      fc.infiniteStream(fc.boolean()),
      (ids, coin) => {
        const poller = pollerOf(ids.map((one) => ({ table: formatTableId(one) })));
        const holders = poller.tables.map(({ table }) => table).filter(() => coin.next().value);
        const refused = topicRefusals(poller, poller.tables, new Set(holders));
        const topics = poller.tables.filter(({ table }) => !refused.has(table)).map((table) => eventTopic(poller, table));
        assert.equal(new Set(topics.map((topic) => topic.replaceAll('.', '_'))).size, topics.length);
        assert.ok(topics.every((topic) => /^[\w.-]{1,249}$/.test(topic)));
      },
    ),
  );
});
