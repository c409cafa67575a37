import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConnectorFile } from '#connectors/index.ts';

const read = (name: string): ReturnType<typeof readConnectorFile> =>
  readConnectorFile(join(import.meta.dirname, '..', '..', 'connectors', name));

test('legacy-orders-avro.json is legacy-orders.json but for the converters and what Avro needs of names and types', async () => {
  const [json, avro] = await Promise.all([read('legacy-orders.json'), read('legacy-orders-avro.json')]);
  assert.equal(avro.name, json.name, 'the same connector: it goes on at its position when the format changes');
  const names = [...new Set([...Object.keys(json.config), ...Object.keys(avro.config)])];
  const different = names.filter((name) => json.config[name] !== avro.config[name] && !/^(?:key|value)\.converter(?:\.|$)/.test(name));
  assert.deepEqual(different, ['schema.name.adjustment.mode', 'field.name.adjustment.mode', 'column.propagate.source.type']);
  for (const name of different) assert.equal(json.config[name], undefined);
});

test('the Avro converter has the same settings for keys and values', async () => {
  const { config } = await read('legacy-orders-avro.json');
  const of = (which: string): readonly (readonly string[])[] =>
    Object.entries(config).flatMap(([name, value]) => (name.startsWith(`${which}.converter`) ? [[name.slice(which.length), value]] : []));
  assert.deepEqual(of('key'), of('value'));
  assert.ok(of('key').length > 1);
});
