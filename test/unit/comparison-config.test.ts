import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparisonFromConfig } from '#comparison/index.ts';
import { pipelineSchema, silentLogger, sweepPollerConfig, type PipelineConfig } from '#pipeline/index.ts';

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
  assert.deepEqual(input.strategies, {
    log: { topicPrefix: 'log', model: 'a' },
    query: { topicPrefix: 'query', model: 'b' },
    sweep: null,
  });
  assert.deepEqual(input.tables, [{ schema: 'public', table: 'orders' }]);
  assert.deepEqual(input.roles, { log: 'replicator', query: 'poller', sweep: null });
});

test('comparison.sweep adds the poller with the key sweep, which is polled from the same tables into topics of its own', () => {
  const poller = { name: 'orders', http: { port: 1 }, tables: [{ table: 'public.orders', topic: 'named', pollIntervalMs: 7 }] };
  const readModel = {
    database: 'read',
    user: 'reader',
    models: {
      a: { topicPrefix: 'log', groupId: 'a' },
      b: { topicPrefix: 'query', groupId: 'b' },
      c: { topicPrefix: 'sweep', groupId: 'c' },
    },
  };
  const whole = config({ poller, readModel, comparison: { sweep: { name: 'swept', sweep: { intervalMs: 5 } } } });
  const input = comparisonFromConfig(whole, silentLogger);
  assert.deepEqual(input.strategies.sweep, { topicPrefix: 'sweep', model: 'c' });
  assert.deepEqual(input.roles, { log: 'replicator', query: 'poller', sweep: 'poller' });
  assert.deepEqual(input.costProbes?.sweep?.sessions, { application: 'cdc-poller swept ' });
  const twin = sweepPollerConfig(whole).poller;
  assert.deepEqual([twin?.name, twin?.topicPrefix, twin?.http], ['swept', 'sweep', undefined]);
  const [table] = twin?.tables ?? [];
  assert.deepEqual([table?.sweep?.intervalMs, table?.topic, table?.pollIntervalMs], [5, undefined, 7]);
});

test('without comparison.sweep there is no such poller', () => {
  assert.throws(() => sweepPollerConfig(config()), { code: 'CONFIG_INVALID', message: /comparison\.sweep/ });
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
