import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProgress, snapshotProgress } from '#connectors/snapshot/progress.ts';
import { executeSnapshot, signalChannel, stopSnapshot } from '#connectors/snapshot/signal.ts';

test('a table in a signal means itself, whatever signs its name has', () => {
  const { data } = executeSnapshot('1', { tables: ['public.a+b'], where: `x = 'y'` });
  assert.deepEqual(JSON.parse(data), {
    'data-collections': [String.raw`public\.a\+b`],
    type: 'incremental',
    'additional-conditions': [{ 'data-collection': String.raw`public\.a\+b`, filter: `x = 'y'` }],
  });
  assert.deepEqual(JSON.parse(stopSnapshot('1', []).data), { type: 'incremental' });
});

test('the channel is the one that the connector listens to: table before topic', () => {
  const both = { 'topic.prefix': 'log', 'signal.enabled.channels': 'source, kafka', 'signal.data.collection': 'cdc.signal' };
  assert.deepEqual(signalChannel('orders', both), { kind: 'table', table: 'cdc.signal' });
  const topic = { 'topic.prefix': 'log', 'signal.enabled.channels': 'kafka' };
  assert.deepEqual(signalChannel('orders', topic), { kind: 'topic', topic: 'log-signal', key: 'log' });
  assert.deepEqual(signalChannel('orders', { ...topic, 'signal.kafka.topic': 's' }), { kind: 'topic', topic: 's', key: 'log' });
  assert.throws(() => signalChannel('orders', {}), { code: 'CONNECTOR_CONFIG_INVALID', remedy: /signal\.data\.collection/ });
});

const long = (hex: string): string =>
  `aced0005757200135b4c6a6176612e6c616e672e4f626a6563743b90ce589f1073296c0200007870000000017372000e6a6176612e6c616e672e4c6f6e673b8be490cc8f23df0200014a000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b0200007870${hex}`;

test('how far an incremental snapshot is comes from the position, for a key of one whole number in figures', () => {
  const offset = {
    incremental_snapshot_correlation_id: 'sig-1',
    incremental_snapshot_collections:
      '[{"incremental_snapshot_collections_id":"public.a"},{"incremental_snapshot_collections_id":"public.b"}]',
    incremental_snapshot_primary_key: long('00000000000005e5'),
    incremental_snapshot_maximum_key: long('0000000000004e20'),
  };
  const progress = snapshotProgress([{ partition: {}, offset }]);
  assert.deepEqual(progress, { id: 'sig-1', tables: ['public.a', 'public.b'], key: 1509n, maximum: 20000n });
  assert.equal(formatProgress(progress), 'public.a: read to key 1509 of 20000; then public.b');
  assert.deepEqual(
    snapshotProgress([
      { partition: {}, offset: { ...offset, incremental_snapshot_primary_key: 'aced', incremental_snapshot_maximum_key: null } },
    ]),
    {
      id: 'sig-1',
      tables: ['public.a', 'public.b'],
    },
  );
  assert.equal(snapshotProgress([{ partition: {}, offset: { lsn: 1 } }]), null);
  assert.equal(snapshotProgress([{ partition: {}, offset: { ...offset, incremental_snapshot_collections: '[]' } }]), null);
});
