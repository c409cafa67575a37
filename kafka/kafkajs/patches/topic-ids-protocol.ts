/**
 * The question for topics' ids, in bytes: Metadata, version 10, the first that has them (Kafka 2.8). kafkajs ends at version 6.
 */
export const metadataKey = 3;
export const versionWithIds = 10;

/** A topic as it is in the answer. */
export type AnsweredTopic = { readonly errorCode: number; readonly name: string; readonly id: string };

/** A broker that knows no id gives this one. */
export const noId = '00000000-0000-0000-0000-000000000000';

/**
 * The request behind its client id: the end of the header, which kafkajs does not write for so new a version, then the body. It makes no topic and asks
 * for no rights.
 */
export function idsRequest(topics: readonly string[]): Buffer {
  const none = Buffer.from([0]);
  const named = topics.flatMap((topic) => {
    const name = Buffer.from(topic);
    return [Buffer.alloc(16), compactLength(name.length), name, none];
  });
  return Buffer.concat([none, compactLength(topics.length), ...named, Buffer.alloc(3), none]);
}

/** Reads an answer from behind its correlation id. */
export function readIds(answer: Buffer): readonly AnsweredTopic[] {
  const reader = new CompactReader(answer);
  reader.tags();
  reader.skip(4);
  reader.list(() => {
    reader.skip(4);
    reader.text();
    reader.skip(4);
    reader.text();
    reader.tags();
  });
  reader.text();
  reader.skip(4);
  return reader.list(() => {
    const errorCode = reader.int16();
    const [name, id] = [reader.text() ?? '', reader.uuid()];
    reader.skip(1);
    reader.list(() => {
      reader.skip(14);
      for (let nodes = 0; nodes < 3; nodes += 1) reader.list(() => reader.skip(4));
      reader.tags();
    });
    reader.skip(4);
    reader.tags();
    return { errorCode, name, id };
  });
}

/** Lengths are written with one added: zero is null. */
function compactLength(length: number): Buffer {
  const bytes: number[] = [];
  let rest = length + 1;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

class CompactReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }

  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  text(): string | null {
    const length = this.#unsigned() - 1;
    if (length < 0) return null;
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }

  uuid(): string {
    this.#at += 16;
    const hex = this.#bytes.toString('hex', this.#at - 16, this.#at);
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  list<T>(one: () => T): T[] {
    const found: T[] = [];
    for (let left = this.#unsigned() - 1; left > 0; left -= 1) found.push(one());
    return found;
  }

  /** Fields that came later than the version: none is of interest. */
  tags(): void {
    for (let left = this.#unsigned(); left > 0; left -= 1) {
      this.#unsigned();
      this.skip(this.#unsigned());
    }
  }

  #unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#at);
      this.#at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
}
