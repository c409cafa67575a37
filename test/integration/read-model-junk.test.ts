import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frameOf } from '#change-events/index.ts';
import { customer, eventValue, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';

/** Messages that are no event, or only look like one: each is parked for what it is, and the others of its table are applied. */

const value = (id: number, lsn: number | null = null): string => eventValue({ table: 'customers', op: 'c', after: customer(id), lsn });
const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
const withColumn = (id: number, json: string): string => value(id).replace('"tier":', `"extra":${json},"tier":`);
const notUtf8 = (text: string, at: string): Buffer => {
  const bytes = Buffer.from(text);
  bytes[bytes.indexOf(at)] = 0xff;
  return bytes;
};

const junk: Readonly<Record<string, { readonly value: string | Buffer; readonly cause: RegExp }>> = {
  'a position of the log that is no whole number': {
    value: value(90).replace('"lsn":null', '"lsn":1.5'),
    cause: /expected a position of the log/,
  },
  'one of more than 64 bits': { value: value(90).replace('"lsn":null', `"lsn":${2n ** 64n}`), cause: /expected a position of the log/ },
  'one below zero': { value: value(90).replace('"lsn":null', '"lsn":-1'), cause: /expected a position of the log/ },
  'arrays inside one another': { value: withColumn(90, deep), cause: /more than 500 levels/ },
  'nothing but arrays inside one another': { value: deep, cause: /more than 500 levels/ },
  'arrays with a number that needs every digit': {
    value: withColumn(90, deep.replace('[]', '[12345678901234567890]')),
    cause: /more than 500 levels/,
  },
  'a byte in a value that is not UTF-8': { value: notUtf8(value(90), 'customer'), cause: /not UTF-8/ },
  'a byte in a name that is not UTF-8': { value: notUtf8(value(90), 'tier'), cause: /not UTF-8/ },
  'half a character': { value: value(90).replace('"tier":"', String.raw`"tier":"\ud800`), cause: /tier has half a character/ },
  'a first byte of 0': { value: Buffer.concat([Buffer.from([0]), Buffer.from(value(90))]), cause: /plain JSON.*does not answer/ },
  'a frame and nothing else': { value: frameOf(7), cause: /plain JSON.*does not answer/ },
  'a first byte of 0 and no id': { value: Buffer.from([0, 1]), cause: /ends before its id/ },
  'no JSON': { value: 'junk', cause: /not JSON/ },
};

test('each is parked for what it is; its table halts before none of them', { timeout: 300_000 }, async () => {
  // The registry is configured, and away.
  await using model = await createReadModel({ partitions: 1, schemaRegistry: { url: 'http://127.0.0.1:9', requestTimeoutMs: 1000 } });
  const entries = Object.entries(junk);
  await model.send('customers', [
    upsert('customers', customer(1)),
    ...entries.map(([what, { value: bytes }]) => ({ key: JSON.stringify({ id: what }), value: bytes })),
    upsert('customers', customer(2)),
  ]);
  await using running = await model.start();
  await eventually(
    () => model.read.query('SELECT id FROM model.customers ORDER BY id'),
    (rows) => rows.map(({ id }) => id).join() === '1,2',
    120_000,
  );
  const parked = await model.read.query(`SELECT convert_from(key, 'UTF8')::json ->> 'id' AS what, cause, code FROM model.parked_events`);
  assert.deepEqual(new Set(parked.map(({ what }) => what)), new Set(entries.map(([what]) => what)));
  for (const { what, cause, code } of parked) {
    assert.match(cause ?? '', junk[what ?? '']?.cause ?? /^$/, what ?? '');
    assert.match(code ?? '', /^(?:EVENT_UNDECODABLE|READ_MODEL_EVENT_INAPPLICABLE)$/, what ?? '');
  }
  void running;
});
