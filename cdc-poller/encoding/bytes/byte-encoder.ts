import { frameOf } from '#change-events/index.ts';
import type { CopyRows } from '../../source/copy-rows.ts';
import { eventParts, type EventColumn, type EventMember, type EventShape } from '../event-encoder.ts';
import { longestByteValue, type ByteValue } from './byte-value.ts';
import type { ByteEncoder } from './byte-events.ts';
import type { SchemaIds } from '../avro-encoder.ts';
import { changedAtReader, putMillis } from './changed-at.ts';
import type { ByteWriter } from '#kafka/index.ts';

type ByteMember = {
  readonly column: number;
  /** All that comes before the value. */
  readonly start: Buffer;
  readonly quick: ByteValue | null;
  readonly member: EventMember;
};

const nullBytes = Buffer.from('null');
const end = Buffer.from('}');

/**
 * Events as JSON, as {@link createEventEncoder} writes them; with schemas, as {@link createFramedJsonEncoder} does.
 *
 * @param prefix columns of a page that come before the table's own, the transaction first
 * @param byteValue the quick way for a column's values; what it does not take goes the plain way, which decides
 * @param ids null for JSON without schemas
 */
export function createByteEncoder(
  shape: EventShape,
  prefix: number,
  byteValue: (column: EventColumn) => ByteValue | null,
  ids: SchemaIds | null = null,
): ByteEncoder {
  const parts = eventParts(shape);
  const membersOf = (members: readonly EventMember[], first: string): readonly ByteMember[] =>
    members.map((member, position) => {
      const column = shape.columns[member.index];
      return {
        column: member.index + prefix,
        start: Buffer.from(`${position === 0 ? first : ','}${member.prefix}`),
        quick: column === undefined || !member.isPlain ? null : byteValue(column),
        member,
      };
    });
  const keyMembers = membersOf(parts.key, '{');
  const valueMembers = membersOf(parts.after, '{"before":null,"after":{');
  const keyHeader = ids === null ? null : frameOf(ids.key);
  const valueHeader = ids === null ? Buffer.alloc(0) : frameOf(ids.value);
  const emptyKey = Buffer.from(keyMembers.length === 0 ? '{' : '');
  const emptyRow = Buffer.from(valueMembers.length === 0 ? '{"before":null,"after":{' : '');
  const source = Buffer.from(`},${parts.sourceStart}`);
  const changedAt = changedAtReader(
    shape.timestamps.map((index) => index + prefix),
    shape.clock,
  );
  return {
    key(rows, to, isUtf8) {
      to.raw(emptyKey);
      for (const member of keyMembers) write(member, rows, to, isUtf8);
      to.raw(end);
    },
    wireKey:
      keyHeader === null
        ? null
        : (_rows, key, to) => {
            to.raw(keyHeader);
            to.raw(key.bytes.subarray(0, key.at));
          },
    page({ op, publishedAt }) {
      const middle = Buffer.from(`,"snapshot":"${op === 'r' ? 'true' : 'false'}"${parts.sourceEnd}`);
      const tail = Buffer.from(`,"lsn":null},"transaction":null,"op":"${op}","ts_ms":${publishedAt}}`);
      return {
        value(rows, to, isUtf8) {
          to.raw(valueHeader);
          to.raw(emptyRow);
          for (const member of valueMembers) write(member, rows, to, isUtf8);
          to.raw(source);
          putMillis(changedAt(rows), to);
          to.raw(middle);
          digits(rows, 0, to);
          to.raw(tail);
        },
      };
    },
  };
}

/** A transaction id, or null. */
function digits({ bytes: from, starts, ends }: CopyRows, column: number, to: ByteWriter): void {
  const start = starts[column] ?? 0;
  const until = ends[column] ?? -1;
  if (until < 0) return to.raw(nullBytes);
  to.reserve(until - start);
  const { bytes } = to;
  let { at } = to;
  for (let index = start; index < until; index += 1) {
    bytes[at] = from[index] ?? 0;
    at += 1;
  }
  to.at = at;
}

function write({ column, start, quick, member }: ByteMember, rows: CopyRows, to: ByteWriter, isUtf8: boolean): void {
  to.raw(start);
  const from = rows.starts[column] ?? 0;
  const until = rows.ends[column] ?? -1;
  if (quick !== null) {
    if (until < 0) return to.raw(nullBytes);
    const length = until - from;
    if (isUtf8 && length <= longestByteValue) {
      const { at } = to;
      to.reserve(length * 6 + 64);
      if (quick(rows.bytes, from, until, to)) return;
      to.at = at;
    }
  }
  try {
    to.text(member.encode(rows.text(column)));
  } catch (error) {
    throw member.refused(error);
  }
}
