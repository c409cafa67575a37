import { isUtf8 } from 'node:buffer';
import type { JsonValue } from '../../lossless-json.ts';
import { advance, endsTooSoon, readLong, readSize, skipVarint, type Cursor } from './cursor.ts';
import { conversionOf } from './meaning.ts';
import type { AvroField, AvroType, Primitive } from './schema.ts';

/** Reads one value of a schema as the contract represents it, or goes past it. Both throw RangeError when the bytes end or make no sense. */
export type ValueCodec = { readonly read: (cursor: Cursor) => JsonValue; readonly skip: (cursor: Cursor) => void };

/** Makes the codecs of the types of one schema, each once. */
export function codecMaker(): (type: AvroType) => ValueCodec {
  const made = new Map<AvroType, ValueCodec>();
  const codecOf = (type: AvroType): ValueCodec => {
    const known = made.get(type);
    if (known !== undefined) return known;
    // A type that contains itself finds this while it is being made.
    let codec: ValueCodec | undefined;
    const later = (): ValueCodec => codec ?? endsTooSoon();
    made.set(type, { read: (cursor) => later().read(cursor), skip: (cursor) => later().skip(cursor) });
    codec = converted(type, plainCodec(type, codecOf));
    made.set(type, codec);
    return codec;
  };
  return codecOf;
}

function converted(type: AvroType, codec: ValueCodec): ValueCodec {
  const convert = 'meaning' in type ? conversionOf(type) : null;
  if (convert === null) return codec;
  const { read, skip } = codec;
  return { read: (cursor) => convert(read(cursor)), skip };
}

function plainCodec(type: AvroType, codecOf: (type: AvroType) => ValueCodec): ValueCodec {
  switch (type.kind) {
    case 'record':
      return recordCodec(type.fields, codecOf);
    case 'union':
      return unionCodec(type.branches, codecOf);
    case 'array':
      return arrayCodec(codecOf(type.items));
    case 'map':
      return mapCodec(codecOf(type.items));
    case 'enum':
      return { read: (cursor) => type.symbols[readSize(cursor)] ?? outOfBounds(), skip: skipVarint };
    case 'fixed':
      return fixedCodec(type.size);
    case 'null':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return primitives[type.kind];
  }
}

function outOfBounds(): never {
  throw new RangeError('an index is out of bounds');
}

function readText(cursor: Cursor): string {
  const length = readSize(cursor);
  const start = advance(cursor, length);
  const text = cursor.bytes.toString('utf8', start, cursor.at);
  // What cannot be read as UTF-8 becomes this character; so does the character itself.
  if (text.includes('\ufffd') && !isUtf8(cursor.bytes.subarray(start, cursor.at))) throw new RangeError('a text is not UTF-8');
  return text;
}

function skipSized(cursor: Cursor): void {
  advance(cursor, readSize(cursor));
}

/** JSON has no words for these. */
function finite(value: number): JsonValue {
  return Number.isFinite(value) ? value : String(value);
}

const smallestNormal = 2 ** -126;

/** The shortest decimal that is this float of 32 bits: what Postgres and Java write for it. */
function shortest(value: number): number {
  // toPrecision drops the sign of a zero.
  if (value === 0) return value;
  if (value === 0) return value;
  // Six digits are always exact, but of the smallest numbers, which have fewer bits.
  for (let digits = Math.abs(value) < smallestNormal ? 1 : 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

const primitives: Readonly<Record<Primitive, ValueCodec>> = {
  null: { read: () => null, skip: () => undefined },
  boolean: {
    read: (cursor) => {
      const byte = cursor.bytes[advance(cursor, 1)];
      if (byte !== 0 && byte !== 1) outOfBounds();
      return byte === 1;
    },
    skip: (cursor) => void advance(cursor, 1),
  },
  int: { read: readLong, skip: skipVarint },
  long: { read: readLong, skip: skipVarint },
  float: {
    read: (cursor) => {
      const value = cursor.bytes.readFloatLE(advance(cursor, 4));
      return Number.isFinite(value) ? shortest(value) : String(value);
    },
    skip: (cursor) => void advance(cursor, 4),
  },
  double: { read: (cursor) => finite(cursor.bytes.readDoubleLE(advance(cursor, 8))), skip: (cursor) => void advance(cursor, 8) },
  bytes: {
    read: (cursor) => {
      const length = readSize(cursor);
      const start = advance(cursor, length);
      return cursor.bytes.toString('base64', start, cursor.at);
    },
    skip: skipSized,
  },
  string: { read: readText, skip: skipSized },
};

function fixedCodec(size: number): ValueCodec {
  return {
    read: (cursor) => cursor.bytes.toString('base64', advance(cursor, size), cursor.at),
    skip: (cursor) => void advance(cursor, size),
  };
}

function unionCodec(branches: readonly AvroType[], codecOf: (type: AvroType) => ValueCodec): ValueCodec {
  const codecs = branches.map(codecOf);
  return {
    read: (cursor) => (codecs[readSize(cursor)] ?? outOfBounds()).read(cursor),
    skip: (cursor) => (codecs[readSize(cursor)] ?? outOfBounds()).skip(cursor),
  };
}

function recordCodec(fields: readonly AvroField[], codecOf: (type: AvroType) => ValueCodec): ValueCodec {
  const codecs = fields.map(({ name, type }) => ({ name, ...codecOf(type) }));
  const skipAll = (cursor: Cursor): void => {
    for (const { skip } of codecs) skip(cursor);
  };
  // To assign it would not make a member of it.
  if (codecs.some(({ name }) => name === '__proto__')) {
    return { read: (cursor) => Object.fromEntries(codecs.map(({ name, read }) => [name, read(cursor)])), skip: skipAll };
  }
  return {
    read: (cursor) => {
      const record: Record<string, JsonValue> = {};
      for (const { name, read } of codecs) record[name] = read(cursor);
      return record;
    },
    skip: skipAll,
  };
}

function arrayCodec(items: ValueCodec): ValueCodec {
  return {
    read: (cursor) => {
      const values: JsonValue[] = [];
      eachBlock(cursor, (count) => {
        for (let index = 0; index < count; index += 1) values.push(items.read(cursor));
      });
      return values;
    },
    skip: (cursor) => skipBlocks(cursor, items.skip),
  };
}

function mapCodec(items: ValueCodec): ValueCodec {
  return {
    read: (cursor) => {
      const entries: [string, JsonValue][] = [];
      eachBlock(cursor, (count) => {
        for (let index = 0; index < count; index += 1) entries.push([readText(cursor), items.read(cursor)]);
      });
      return Object.fromEntries(entries);
    },
    skip: (cursor) =>
      skipBlocks(cursor, () => {
        skipSized(cursor);
        items.skip(cursor);
      }),
  };
}

/** Arrays and maps come in blocks: a count, negative when the block's bytes follow it; a zero ends them. */
function eachBlock(cursor: Cursor, read: (count: number) => void): void {
  for (;;) {
    const count = readLong(cursor);
    if (count === 0) return;
    if (count < 0) skipVarint(cursor);
    const items = Math.abs(Number(count));
    // Every item has a byte at least, unless it is always null: so many are none.
    if (items > cursor.bytes.length) outOfBounds();
    read(items);
  }
}

function skipBlocks(cursor: Cursor, skip: (cursor: Cursor) => void): void {
  for (;;) {
    const count = readLong(cursor);
    if (count === 0) return;
    if (count < 0) {
      skipSized(cursor);
      continue;
    }
    if (Number(count) > cursor.bytes.length) outOfBounds();
    for (let index = 0; index < count; index += 1) skip(cursor);
  }
}
