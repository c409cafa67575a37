import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparisonFromConfig } from '#comparison/index.ts';
import { pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';

function config(changes: Readonly<Record<string, unknown>> = {}): PipelineConfig {
  return pipelineSchema.parse({
    legacyDb: { database: 'legacy', roles: { owner: { user: 'owner' }, poller: { user: 'poller' }, replicator: { user: 'replicator' } } },
    kafka: { brokers: ['localhost:1'] },
    poller: { name: 'orders', topicPrefix: 'query', tables: [{ table: 'public.orders' }] },
    connect: { topicPrefix: 'log' },
    readModel: {
      database: 'read',
      user: 'reader',
      models: { a: { topicPrefix: 'log', groupId: 'a' }, b: { topicPrefix: 'query', groupId: 'b' } },
    },
    ...changes,
  });
}

test('each strategy is compared by its topic prefix and the read model that follows it', () => {
  const input = comparisonFromConfig(config(), silentLogger);
  assert.deepEqual(input.strategies, { log: { topicPrefix: 'log', model: 'a' }, query: { topicPrefix: 'query', model: 'b' } });
  assert.deepEqual(input.tables, [{ schema: 'public', table: 'orders' }]);
  assert.deepEqual(input.roles, { log: 'replicator', query: 'poller' });
});

test('a configuration with one strategy only is refused, naming what is missing', () => {
  assert.throws(() => comparisonFromConfig(config({ poller: undefined, readModel: undefined }), silentLogger), {
    code: 'COMPARISON_IMPOSSIBLE',
    message: /no section poller, readModel/,
  });
});

test('a strategy that no read model follows is refused, naming its prefix', () => {
  assert.throws(() => comparisonFromConfig(config({ connect: { topicPrefix: 'other' } }), silentLogger), {
    code: 'COMPARISON_IMPOSSIBLE',
    message: /topic prefix other/,
  });
});

test('without the owner, who may read the ledger, there is no comparison', () => {
  const legacyDb = { database: 'legacy', roles: { poller: { user: 'poller' } } };
  assert.throws(() => comparisonFromConfig(config({ legacyDb }), silentLogger), { code: 'LEGACY_ROLE_NOT_CONFIGURED' });
});
