import { ownMember } from '#pipeline/index.ts';
import { isLogPosition, isRow, toRowValues, type Operation, type Row } from '../../change-event.ts';
import type { RowChange } from '../../decode.ts';
import type { JsonValue } from '../../lossless-json.ts';
import { payloadStart } from '../frame.ts';
import type { Cursor } from './cursor.ts';
import type { AvroType } from './schema.ts';
import type { ValueCodec } from './value-codec.ts';

/** The quick ways through an envelope. Both throw RangeError when the bytes are not what the schema says. */
export type EnvelopePlans = {
  /** What becomes of the row, `before` unread; undefined for an event that the full decoder must read. */
  readonly change: (bytes: Buffer) => RowChange | undefined;
  /** `transaction.id`; null without. */
  readonly transaction: (bytes: Buffer) => string | null;
};

type RecordType = AvroType & { readonly kind: 'record' };
type CodecOf = (type: AvroType) => ValueCodec;

const operations: Readonly<Record<string, Operation>> = { c: 'c', u: 'u', d: 'd', r: 'r', t: 't' };
const requiredOfSource = ['connector', 'name', 'db', 'table'];

/** The plans for what was written with this schema; null when it is not that of a change event. */
export function envelopePlans(type: AvroType, codecOf: CodecOf): EnvelopePlans | null {
  if (type.kind !== 'record') return null;
  const source = type.fields.find(({ name }) => name === 'source')?.type;
  if (source?.kind !== 'record' || !requiredOfSource.every((name) => isText(source, name))) return null;
  return { change: changePlan(type, memberReader(source, 'lsn', codecOf), codecOf), transaction: transactionPlan(type, codecOf) };
}

function changePlan(type: RecordType, readLsn: (cursor: Cursor) => JsonValue, codecOf: CodecOf): EnvelopePlans['change'] {
  const steps = type.fields.map(({ name, type: field }) => ({ name, ...codecOf(field) }));
  return (bytes) => {
    const cursor: Cursor = { bytes, at: payloadStart };
    let op: Operation | undefined;
    let after: JsonValue = null;
    let lsn: JsonValue = null;
    let before = noRow;
    for (const { name, read, skip } of steps) {
      if (name === 'after') after = read(cursor);
      else if (name === 'op') op = operationOf(read(cursor));
      else if (name === 'source') lsn = readLsn(cursor);
      else if (name === 'before') {
        const { at } = cursor;
        skip(cursor);
        before = () => rowOf(read({ bytes, at }));
      } else skip(cursor);
    }
    if (op === undefined || cursor.at !== bytes.length || !(after === null || isRow(after)) || !isLsn(lsn)) return undefined;
    return { op, after: after === null ? null : toRowValues(after), before, lsn };
  };
}

function transactionPlan(type: RecordType, codecOf: CodecOf): EnvelopePlans['transaction'] {
  const last = type.fields.findIndex(({ name }) => name === 'transaction');
  const steps = type.fields.slice(0, last + 1).map(({ type: field }) => codecOf(field));
  return (bytes) => {
    const cursor: Cursor = { bytes, at: payloadStart };
    let block: JsonValue = null;
    for (const [index, { read, skip }] of steps.entries()) {
      if (index === last) block = read(cursor);
      else skip(cursor);
    }
    return isRow(block) && typeof block['id'] === 'string' ? block['id'] : null;
  };
}

function noRow(): Row | null {
  return null;
}

function operationOf(value: JsonValue): Operation | undefined {
  return typeof value === 'string' ? ownMember(operations, value) : undefined;
}

function rowOf(value: JsonValue): Row | null {
  return isRow(value) ? value : null;
}

function isLsn(value: JsonValue): value is number | bigint | null {
  return value === null || ((typeof value === 'number' || typeof value === 'bigint') && isLogPosition(value));
}

/** As Debezium's schemas have it: text, and never null. */
function isText(record: RecordType, name: string): boolean {
  return record.fields.some((field) => field.name === name && field.type.kind === 'string');
}

/** Reads one member of a record and goes past the others; null when there is none. */
function memberReader(record: RecordType, member: string, codecOf: CodecOf): (cursor: Cursor) => JsonValue {
  const steps = record.fields.map(({ name, type }) => ({ wanted: name === member, ...codecOf(type) }));
  return (cursor) => {
    let value: JsonValue = null;
    for (const { wanted, read, skip } of steps) {
      if (wanted) value = read(cursor);
      else skip(cursor);
    }
    return value;
  };
}
