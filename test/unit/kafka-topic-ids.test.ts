import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metadataV10, Writer } from '@platformatic/kafka';
import { idsRequest, noId, readIds } from '#kafka/kafkajs/patches/topic-ids-protocol.ts';

const topics = ['a', 'log.public.t', ...Array.from({ length: 200 }, (_, index) => `${'long'.repeat(50)}-${index}`)];

test('the question for topics’ ids has the bytes that another client writes, for more and longer names than fit one byte too', () => {
  const theirs = metadataV10.createRequest(topics, false).buffer;
  // The header's end, which that client writes elsewhere.
  assert.deepEqual(idsRequest(topics), Buffer.concat([Buffer.from([0]), theirs]));
});

/** A field that came with a later version. */
function later(writer: Writer): Writer {
  return writer.appendUnsignedVarInt(1).appendUnsignedVarInt(300).appendUnsignedVarInt(2).appendInt16(7);
}

test('an answer is read whatever else a newer broker says in it: names, ids and errors, also of a topic without either', () => {
  const topic = (writer: Writer, code: number, name: string | null, id: string | null): Writer =>
    later(
      writer
        .appendInt16(code)
        .appendString(name)
        .appendUUID(id)
        .appendBoolean(false)
        .appendArray(
          [0, 1],
          (partitions, index) => {
            partitions.appendInt16(0).appendInt32(index).appendInt32(1).appendInt32(5);
            for (const nodes of [[1, 2, 3], [1], []]) partitions.appendArray(nodes, (one, node) => one.appendInt32(node), true, false);
            later(partitions);
          },
          true,
          false,
        )
        .appendInt32(-2_147_483_648),
    );
  const id = '01234567-89ab-cdef-0123-456789abcdef';
  const answer = later(Writer.create())
    .appendInt32(0)
    .appendArray(
      [1, 2],
      (brokers, node) => {
        later(
          brokers
            .appendInt32(node)
            .appendString(`broker-${node}`)
            .appendInt32(9092)
            .appendString(node === 1 ? null : 'rack'),
        );
      },
      true,
      false,
    )
    .appendString('cluster')
    .appendInt32(1)
    .appendArray(
      topics,
      (found, name, index) => void topic(found, index === 1 ? 3 : 0, index === 2 ? null : name, index === 1 ? null : id),
      true,
      false,
    );
  assert.deepEqual(
    readIds(answer.buffer),
    topics.map((name, index) => ({ errorCode: index === 1 ? 3 : 0, name: index === 2 ? '' : name, id: index === 1 ? noId : id })),
  );
});
