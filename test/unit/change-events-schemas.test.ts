import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decoderWith } from '#change-events/event-decoder.ts';
import { frameOf, stringifyLossless, type EncodedMessage } from '#change-events/index.ts';
import { avroDecoder, avroEnvelope, avroField, encodeAvro, framed } from '../support/avro-events.ts';
import { toRow } from '../support/row-values.ts';

const place = { topic: 'log.public.t', partition: 3, offset: '42' };
const at = 'at topic log.public.t, partition 3, offset 42, schema id 7';

test('names: of namespaces, of schemas that are referred to, of a type inside itself, of columns that Avro could not take', async () => {
  const money = { type: 'record', name: 'Money', namespace: 'shop.types', fields: [{ name: 'amount', type: 'long' }] };
  const tree = {
    type: 'record',
    name: 'Tree',
    namespace: 'shop',
    fields: [
      { name: 'price', type: 'shop.types.Money' },
      { name: 'next', type: ['null', 'Tree'] },
      { name: 'weird_name', type: ['null', { type: 'string', 'connect.parameters': { '__debezium.source.column.name': 'weird name' } }] },
      { name: '__proto__', type: 'int' },
    ],
  };
  const decoder = await avroDecoder(tree, [money]);
  // price 5, next: {price 6, next null, 'x', 1}, null, 2
  const bytes = Buffer.concat([frameOf(7), Buffer.from([10, 2, 12, 0, 2, 2, 'x'.charCodeAt(0), 2, 0, 4])]);
  assert.equal(
    decoder.text(bytes),
    '{"price":{"amount":5},"next":{"price":{"amount":6},"next":null,"weird name":"x","__proto__":1},"weird name":null,"__proto__":2}',
  );
});

test('a schema that is none, one of another type, an id that nobody knows: refused by name, with what to do', async () => {
  const noAvro = await avroDecoder('{"type":"record","name":"R","fields":[{"name":"a","type":"Missing"}]}');
  const bytes = Buffer.concat([frameOf(7), Buffer.from([2])]);
  assert.throws(() => noAvro.decodeRowChange(bytes, place), {
    code: 'EVENT_UNDECODABLE',
    message: new RegExp(`Missing is not defined.* ${at}`),
  });
  assert.equal(noAvro.text(bytes), null);

  const unknown = Buffer.concat([frameOf(8), Buffer.from([2])]);
  await noAvro.prepare([{ key: unknown, value: null }]);
  assert.throws(
    () => noAvro.decodeKey(unknown, place),
    (error: Error & { remedy?: string }) => {
      assert.match(error.message, /http:\/\/registry knows no schema .* schema id 8$/);
      assert.match(error.remedy ?? '', /schemaRegistry.url/);
      return true;
    },
  );

  const without = decoderWith(undefined);
  assert.equal(without.prepare([{ key: bytes, value: null }]), undefined);
  assert.throws(() => without.decodeValue(bytes, place), {
    code: 'EVENT_UNDECODABLE',
    message: new RegExp(`schemaRegistry is not configured ${at}`),
  });
});

function messagesOf(id: number): readonly EncodedMessage[] {
  return [{ key: frameOf(id), value: Buffer.from('{}') }];
}

test('a schema is asked for once and kept; an id that was unknown is asked for again; an outage rejects and is tried again', async () => {
  const asked: number[] = [];
  let known = false;
  let down = false;
  const decoder = decoderWith({
    url: 'http://registry',
    schemaOf: async (id) => {
      asked.push(id);
      if (down) throw new Error('down');
      return known || id === 1 ? { schemaType: 'AVRO', schema: '"string"', references: [] } : null;
    },
  });
  const text = (id: number): string | null => decoder.text(Buffer.concat([frameOf(id), Buffer.from([2, 120])]));
  assert.equal(decoder.prepare([{ key: null, value: Buffer.from('{}') }]), undefined);
  await decoder.prepare([...messagesOf(1), ...messagesOf(1), ...messagesOf(2)]);
  assert.deepEqual([asked, decoder.prepare(messagesOf(1)), text(1), text(2)], [[1, 2], undefined, '"x"', null]);
  await decoder.prepare(messagesOf(2));
  known = true;
  await decoder.prepare(messagesOf(2));
  assert.deepEqual([asked, text(2)], [[1, 2, 2, 2], '"x"']);
  down = true;
  await assert.rejects(async () => decoder.prepare([...messagesOf(3), ...messagesOf(1)]), /down/);
  assert.equal(text(1), '"x"', 'what is known serves');
  down = false;
  await decoder.prepare(messagesOf(3));
  assert.equal(text(3), '"x"');
});

test('many who meet an id at the same moment ask once; who is aborted lets go alone, and the last one ends the request', async () => {
  const requests: { readonly answer: PromiseWithResolvers<null>; readonly signal: AbortSignal | undefined }[] = [];
  const decoder = decoderWith({
    url: 'http://registry',
    schemaOf: async (_id, signal) => {
      const answer = Promise.withResolvers<null>();
      requests.push({ answer, signal });
      return answer.promise;
    },
  });
  const [one, other] = [new AbortController(), new AbortController()];
  const first = Promise.resolve(decoder.prepare(messagesOf(1), one.signal));
  const second = Promise.resolve(decoder.prepare(messagesOf(1), other.signal));
  one.abort(new Error('stop'));
  await assert.rejects(first, /stop/);
  assert.deepEqual([requests.length, requests[0]?.signal?.aborted], [1, false]);
  requests[0]?.answer.reject(new Error('down'));
  await assert.rejects(second, /down/);
  const third = Promise.resolve(decoder.prepare(messagesOf(1), other.signal));
  assert.equal(requests.length, 2, 'what failed is begun again');
  other.abort(new Error('stop'));
  await assert.rejects(third, /stop/);
  assert.equal(requests[1]?.signal?.aborted, true);
  const last = Promise.resolve(decoder.prepare(messagesOf(1)));
  assert.equal(requests.length, 3, 'what was ended is no answer');
  requests[2]?.answer.resolve(null);
  await last;
});

test('blocks of arrays: with their bytes counted, as Java’s writers may give them, and with counts that cannot be', async () => {
  const decoder = await avroDecoder({ type: 'array', items: 'int' });
  // -2 items of 2 bytes, then one block of one, then the end
  assert.deepEqual(decoder.decodeValue(framed(3, 4, 2, 4, 2, 6, 0), place), [1, 2, 3]);
  assert.throws(() => decoder.decodeValue(framed(0xfe, 0xff, 0xff, 0xff, 0x0f, 2), place), { code: 'EVENT_UNDECODABLE' });
});

/**
 * The bytes of an event as they are in topics. When this fails, what was written before can no longer be read: the reader is wrong, and
 * this test stays as it is.
 */
test('the wire: a zero byte, the id in four bytes, big endian, the payload of the schema', async () => {
  const decoder = decoderWith({
    url: 'http://registry',
    schemaOf: async (id) =>
      id === 0x01020304 ? { schemaType: 'AVRO', schema: JSON.stringify(avroEnvelope(wireColumns)), references: [] } : null,
  });
  const bytes = Buffer.from(
    '0001020304' + // magic, id
      '00' + // before: null
      '02' + // after: a row
      '02' +
      'feffffffffffffffff01' + // id: the largest bigint
      '02' +
      '0c' +
      '4772c3bcc39f' + // name: 6 bytes, Grüß
      '00' + // total: null
      '0231' +
      '0263' +
      '026e' +
      '0264' +
      '0273' +
      '0274' + // version, connector, name, db, schema, table
      '02' + // ts_ms: 1
      '00' + // txId: null
      '02' +
      '8080d9a901' + // lsn
      '00' + // transaction: null
      '0263' + // op
      '0202' + // ts_ms: 1
      '00', // ts_ns: null
    'hex',
  );
  await decoder.prepare([{ key: null, value: bytes }]);
  const change = decoder.decodeRowChange(bytes, place);
  assert.deepEqual(
    [change?.op, change?.after && toRow(change.after), change?.lsn],
    ['c', { id: 9_223_372_036_854_775_807n, name: 'Grüß', total: null }, 177_938_432],
  );
  assert.equal(decoder.decodeChangeEvent(bytes, place)?.source.table, 't');
});

const wireColumns = [avroField('id', 'long'), avroField('name', 'string'), avroField('total', 'string')];

test('messages of several schema versions, of JSON Schema and of plain JSON in one batch are each read as they were written', async () => {
  const versions = [
    { id: 1, fields: [avroField('id', 'long'), avroField('note', 'string')] },
    { id: 2, fields: [avroField('id', 'long'), avroField('price', 'string'), avroField('note', 'string')] },
    { id: 3, fields: [avroField('note', 'string'), avroField('id', 'long')] },
  ];
  const decoder = decoderWith({
    url: 'http://registry',
    schemaOf: async (id) => {
      const fields = versions.find((version) => version.id === id)?.fields;
      return fields === undefined
        ? { schemaType: 'JSON', schema: '{}', references: [] }
        : { schemaType: 'AVRO', schema: JSON.stringify(avroEnvelope(fields)), references: [] };
    },
  });
  const source = { version: '1', connector: 'c', name: 'n', db: 'd', schema: 's', table: 't', ts_ms: 1n, txId: null, lsn: null };
  const rows: readonly Readonly<Record<string, string | bigint>>[] = [
    { id: 1n, note: 'a' },
    { id: 2n, price: '1.50', note: 'b' },
    { id: 3n, note: 'c' },
  ];
  const rest = { before: null, source, transaction: null, op: 'c', ts_ms: 1n, ts_ns: null };
  const avro = versions.map(({ id, fields }, index) =>
    Buffer.concat([frameOf(id), encodeAvro(avroEnvelope(fields))({ ...rest, after: rows[index] })]),
  );
  const json = Buffer.from(stringifyLossless({ ...rest, after: { id: 2n ** 60n, note: 'json' } }));
  const batch = [...avro, json, Buffer.concat([frameOf(9), json]), ...avro.toReversed()];
  await decoder.prepare(batch.map((value) => ({ key: null, value })));
  const afters = batch.map((value) => {
    const after = decoder.decodeRowChange(value, place)?.after;
    return after && toRow(after);
  });
  const [first, second, third] = [
    { id: 1, note: 'a' },
    { id: 2, price: '1.50', note: 'b' },
    { note: 'c', id: 3 },
  ];
  const plain = { id: 2n ** 60n, note: 'json' };
  assert.deepEqual(afters, [first, second, third, plain, plain, third, second, first]);
  const damaged = Buffer.concat([frameOf(9), json.subarray(0, 40)]);
  assert.throws(() => decoder.decodeRowChange(damaged, place), {
    code: 'EVENT_UNDECODABLE',
    message: /is not JSON.*offset 42, schema id 9$/,
  });
});
