import { createAPI, produceV9, ProtocolError, protocolErrorsCodesById, Writer, type Connection, type Reader } from '@platformatic/kafka';

/** A sealed record batch for a partition. */
export type PlacedBatch = { readonly partition: number; readonly batch: Buffer };

export type ProduceOutcome = { readonly partition: number; readonly error: ProtocolError | null };

const acksAll = -1;

/**
 * Sends batches of one topic to the broker that leads their partitions, in one request. (Produce version 9: Kafka 2.8 and newer. The library's own
 * request takes messages, not batches.)
 *
 * @param timeoutMs how long the broker may wait for its replicas
 */
export async function produce(
  connection: Connection,
  transactionalId: string,
  topic: string,
  batches: readonly PlacedBatch[],
  timeoutMs: number,
): Promise<readonly ProduceOutcome[]> {
  return await api.async(connection, transactionalId, topic, batches, timeoutMs);
}

type Arguments = [transactionalId: string, topic: string, batches: readonly PlacedBatch[], timeoutMs: number];

const api = createAPI<Arguments, readonly ProduceOutcome[]>(
  produceV9.api.key,
  produceV9.api.version,
  writeRequest,
  (_correlationId, _key, _version, reader) => readOutcomes(reader),
);

function writeRequest(...[transactionalId, topic, batches, timeoutMs]: Arguments): Writer {
  return Writer.create()
    .appendString(transactionalId)
    .appendInt16(acksAll)
    .appendInt32(timeoutMs)
    .appendArray([topic], (topics, name) => {
      topics.appendString(name).appendArray([...batches], (partitions, { partition, batch }) => {
        partitions
          .appendInt32(partition)
          .appendUnsignedVarInt(batch.length + 1)
          .append(batch);
      });
    })
    .appendTaggedFields();
}

/** The library's own parser throws on the first error, and loses what the other partitions said. */
function readOutcomes(reader: Reader): readonly ProduceOutcome[] {
  const topics = reader.readArray((topic) => {
    topic.readString();
    return topic.readArray(readPartition);
  });
  return (topics ?? []).flatMap((outcomes) => outcomes ?? []);
}

function readPartition(reader: Reader): ProduceOutcome {
  const partition = reader.readInt32();
  const code = reader.readInt16();
  // Base offset, append time, log start offset.
  reader.skip(24);
  reader.readArray((records) => [records.readInt32(), records.readNullableString()]);
  const message = reader.readNullableString();
  const known = protocolErrorsCodesById[code] === undefined ? 'UNKNOWN_SERVER_ERROR' : code;
  return { partition, error: code === 0 ? null : new ProtocolError(known, message) };
}
