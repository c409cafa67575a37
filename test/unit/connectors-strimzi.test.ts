import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { readConnectorFile } from '#connectors/index.ts';
import { renderStrimzi } from '#connectors/strimzi.ts';

test('connector files as KafkaConnector resources: one document each, references kept, own fields not repeated in config', async () => {
  const file = await readConnectorFile(join(import.meta.dirname, '..', '..', 'connectors', 'legacy-orders.json'));
  const other = { name: 'Other_Orders', config: { ...file.config, name: 'Other_Orders', 'tasks.max': '2' } };
  const text = renderStrimzi([file, other], { cluster: 'my-connect', namespace: 'cdc' });
  const documents: unknown[] = parseAllDocuments(text).map((document) => document.toJS());
  const { 'connector.class': kind, 'tasks.max': _max, name: _name, ...config } = file.config;
  assert.deepEqual(documents, [
    {
      apiVersion: 'kafka.strimzi.io/v1beta2',
      kind: 'KafkaConnector',
      metadata: { name: 'legacy-orders', namespace: 'cdc', labels: { 'strimzi.io/cluster': 'my-connect' } },
      spec: { class: kind, tasksMax: 1, config },
    },
    {
      apiVersion: 'kafka.strimzi.io/v1beta2',
      kind: 'KafkaConnector',
      metadata: { name: 'other-orders', namespace: 'cdc', labels: { 'strimzi.io/cluster': 'my-connect' } },
      spec: { class: kind, tasksMax: 2, config },
    },
  ]);
  assert.equal(config['database.password'], '${env:LEGACY_DB_REPLICATOR_PASSWORD}');
});
