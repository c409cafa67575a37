import { createAPI, fetchV12, readKnownTaggedFields, ResponseError, type Reader } from '@platformatic/kafka';

/** What a broker answers of one partition, its records as they are in the log. */
export type PackedPartition = {
  readonly topic: string;
  readonly partition: number;
  readonly highWatermark: bigint;
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[];
  readonly bytes: Buffer;
};

const fetchKey = 1;
const version = 12;

/**
 * Fetch version 12, asked as the library asks it. Its answer is left packed: the library unpacks whatever comes, however large that gets, and one batch that it
 * cannot read fails the fetch of all partitions.
 */
export const fetchPacked = createAPI<Parameters<typeof fetchV12.createRequest>, readonly PackedPartition[]>(
  fetchKey,
  version,
  fetchV12.createRequest,
  parse,
);

function parse(_correlationId: number, apiKey: number, apiVersion: number, reader: Reader): readonly PackedPartition[] {
  const errors: [string, [number, null]][] = [];
  const note = (place: string, code: number): void => {
    if (code !== 0) errors.push([place, [code, null]]);
  };
  // How long a client should wait, in ms: brokers wait by themselves.
  reader.readInt32();
  note('/', reader.readInt16());
  // The session: there is none.
  reader.readInt32();
  const topics = reader.readArray((ofTopic, index) => {
    const topic = ofTopic.readString();
    return ofTopic.readArray(
      (each, nth) => {
        const partition = each.readInt32();
        note(`/responses/${index}/partitions/${nth}`, each.readInt16());
        const highWatermark = each.readInt64();
        // The last stable offset, and where the log begins.
        each.skip(16);
        const aborted = each.readNullableArray((one) => ({ producerId: one.readInt64(), firstOffset: one.readInt64() })) ?? [];
        // A replica to be preferred: leaders are asked.
        each.readInt32();
        const size = Math.max(0, each.readUnsignedVarInt() - 1);
        const bytes = each.buffer.slice(each.position, each.position + size);
        each.skip(size);
        readKnownTaggedFields(each, {});
        return { topic, partition, highWatermark, aborted, bytes };
      },
      true,
      false,
    );
  });
  readKnownTaggedFields(reader, {});
  if (errors.length > 0) throw new ResponseError(apiKey, apiVersion, Object.fromEntries(errors), topics);
  return topics.flat();
}
