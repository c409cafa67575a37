import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { capturedTables, parseConnectorFile, readConnectorFile } from '#connectors/index.ts';

const shipped = join(import.meta.dirname, '..', '..', 'connectors', 'legacy-orders.json');

test('a missing file is named', async () => {
  await assert.rejects(readConnectorFile('/nowhere/orders.json'), { code: 'CONNECTOR_FILE_NOT_FOUND', message: /\/nowhere\/orders\.json/ });
});

test('what is not JSON is reported with its line', () => {
  const text = '{\n  "name": "orders",\n  "config": { "a": 1,, }\n}';
  assert.throws(() => parseConnectorFile(text, 'orders.json'), { code: 'CONNECTOR_FILE_INVALID', message: /^orders\.json:3: not JSON/ });
  assert.throws(() => parseConnectorFile('{\n  "name": "orders",\n', 'orders.json'), { message: /^orders\.json:3: not JSON/ });
});

test('a missing name, config or class is reported by its key', () => {
  assert.throws(() => parseConnectorFile('{"config": {"connector.class": "x"}}', 'orders.json'), {
    message: /^orders\.json: name: expected/,
  });
  assert.throws(() => parseConnectorFile('{"name": "orders"}', 'orders.json'), { message: /^orders\.json: config: expected/ });
  assert.throws(() => parseConnectorFile('{"name": "orders", "config": {}}', 'orders.json'), {
    message: /config › connector\.class: expected/,
  });
  assert.throws(() => parseConnectorFile('{"name": "orders", "config": {"connector.class": "x", "a": {}}}', 'orders.json'), {
    message: /config › a: expected text/,
  });
});

test('numbers and booleans become text, as Connect keeps them', () => {
  const { config } = parseConnectorFile('{"name": "orders", "config": {"connector.class": "x", "n": 10, "b": true}}', 'orders.json');
  assert.deepEqual(config, { name: 'orders', 'connector.class': 'x', n: '10', b: 'true' });
});

test('two different names are refused', () => {
  assert.throws(() => parseConnectorFile('{"name": "a", "config": {"connector.class": "x", "name": "b"}}', 'f'), {
    message: /named a, but config › name says b/,
  });
});

test('the shipped connector keeps every digit, skips nothing and holds no secret', async () => {
  const { config } = await readConnectorFile(shipped);
  const pinned = {
    'plugin.name': 'pgoutput',
    'publication.autocreate.mode': 'disabled',
    'decimal.handling.mode': 'string',
    'time.precision.mode': 'isostring',
    'interval.handling.mode': 'string',
    'binary.handling.mode': 'bytes',
    'include.unknown.datatypes': 'true',
    'skipped.operations': 'none',
    'tombstones.on.delete': 'true',
    'provide.transaction.metadata': 'true',
    'exactly.once.support': 'required',
  };
  for (const [key, value] of Object.entries(pinned)) assert.equal(config[key], value, key);
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith('database.') && key !== 'database.sslmode') assert.match(value, /^\$\{env:LEGACY_DB_\w+\}$/, key);
  }
  assert.deepEqual(
    capturedTables('orders', config).map(({ schema, table }) => `${schema}.${table}`),
    ['public.customers', 'public.products', 'public.orders', 'public.order_items'],
  );
});

test('a table pattern cannot be prepared and is refused', () => {
  assert.throws(() => capturedTables('orders', { 'table.include.list': 'public.*' }), {
    code: 'CONNECTOR_CONFIG_INVALID',
    message: /pattern \(public\.\*\)/,
  });
  assert.throws(() => capturedTables('orders', {}), { message: /is empty/ });
  assert.deepEqual(capturedTables('orders', { 'table.include.list': String.raw` public\.orders , cdc.heartbeat` }), [
    { schema: 'public', table: 'orders' },
  ]);
});
