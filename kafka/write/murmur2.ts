const seed = 0x9747b28c;
const multiplier = 0x5bd1e995;

/**
 * The hash of Kafka's default partitioner (org.apache.kafka.common.utils.Utils.murmur2), of the first `length` bytes, as a signed 32-bit integer. Equal keys go to
 * equal partitions whoever writes them: this producer, a Java client or Debezium on Connect.
 */
export function murmur2(bytes: Buffer, length: number = bytes.length): number {
  let hash = seed ^ length;
  const tail = length & ~3;
  for (let at = 0; at < tail; at += 4) {
    let word = Math.imul(bytes.readInt32LE(at), multiplier);
    word ^= word >>> 24;
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier);
  }
  const rest = length & 3;
  if (rest > 0) {
    for (let index = rest - 1; index >= 0; index -= 1) hash ^= bytes.readUInt8(tail + index) << (8 * index);
    hash = Math.imul(hash, multiplier);
  }
  hash ^= hash >>> 13;
  hash = Math.imul(hash, multiplier);
  return hash ^ (hash >>> 15);
}

/** Keys are short: their bytes are put here instead of into a buffer of each. */
const scratch = Buffer.allocUnsafeSlow(1024);

/** The partition of a key among `partitions`, as Kafka's default partitioner chooses it. */
export function partitionForKey(key: string | Buffer, partitions: number): number {
  return (hashOf(key) & 0x7f_ff_ff_ff) % partitions;
}

/** As {@link partitionForKey}, of the first `end` bytes. */
export function partitionOfBytes(bytes: Buffer, end: number, partitions: number): number {
  return (murmur2(bytes, end) & 0x7f_ff_ff_ff) % partitions;
}

function hashOf(key: string | Buffer): number {
  if (typeof key !== 'string') return murmur2(key);
  return key.length * 3 > scratch.length ? murmur2(Buffer.from(key)) : murmur2(scratch, scratch.write(key));
}
