import { isLogPosition, type Operation } from '../change-event.ts';
import { endOfDigits, endOfLiteral, isDigit, toLiteral, viewOf, type Literal } from './words.ts';

/** What the bytes behind an event's row say. */
export type EventTail = { readonly op: Operation; readonly lsn: number | bigint | null };

/** A tail, cut at its runs of digits. */
type KnownTail = {
  readonly op: Operation;
  readonly literals: readonly Literal[];
  /** `source.lsn` is the run behind this literal; -1 when it is null or missing. */
  readonly lsnAfter: number;
};

/** The tails of one topic's events that were read before. */
export type EventTails = {
  /** What the bytes from `start` to their end say, if a known tail is the same but for its digits; null otherwise. */
  match(bytes: Buffer, start: number): EventTail | null;
  /** Remembers that the bytes from `start` on say `op`, and that the digits at `lsnAt` are the lsn's (-1: it is null). */
  learn(bytes: Buffer, start: number, op: Operation, lsnAt: number): void;
};

/** Operations, and the words that Debezium has for a snapshot's events. */
const mostTails = 8;
const zero = 48;
/** Misses beyond matches after which the tails of a topic are taken not to repeat; matches count up to so many. */
const patience = 1000;

/**
 * Behind its row an event is, byte for byte, what the one before it in its topic was, but for runs of digits: positions, transactions and
 * times. These bytes are most of it, and to compare them costs a third of reading them.
 *
 * A tail that matches says the same as the known one and has all that the contract asks for: no name or word that counts has digits, and the
 * only number that does is read.
 */
export function createEventTails(): EventTails {
  const known: KnownTail[] = [];
  let credit = patience;
  return {
    match(bytes, start) {
      if (credit === 0) return null;
      for (let index = 0; index < known.length; index += 1) {
        const tail = known[index];
        const lsn = tail === undefined ? undefined : lsnOf(bytes, start, tail);
        if (tail === undefined || lsn === undefined) continue;
        if (credit < patience) credit += 1;
        if (index > 0) known.unshift(...known.splice(index, 1));
        return { op: tail.op, lsn };
      }
      credit -= 1;
      return null;
    },
    learn(bytes, start, op, lsnAt) {
      if (credit === 0) return;
      known.unshift(toTail(bytes, start, op, lsnAt));
      if (known.length > mostTails) known.pop();
    },
  };
}

function toTail(bytes: Buffer, start: number, op: Operation, lsnAt: number): KnownTail {
  const literals: Literal[] = [];
  let lsnAfter = -1;
  let from = start;
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (!isDigit(byte)) continue;
    if (at === lsnAt) lsnAfter = literals.length;
    literals.push(toLiteral(bytes.subarray(from, at)));
    while (isDigit(bytes[at + 1] ?? 0)) at += 1;
    from = at + 1;
  }
  literals.push(toLiteral(bytes.subarray(from)));
  return { op, literals, lsnAfter };
}

/** The lsn of bytes that are this tail but for their digits; undefined when they are not. */
function lsnOf(bytes: Buffer, start: number, { literals, lsnAfter }: KnownTail): number | bigint | null | undefined {
  const view = viewOf(bytes);
  const end = bytes.byteOffset + bytes.length;
  const last = literals.length - 1;
  let at = bytes.byteOffset + start;
  let lsn: number | bigint | null = null;
  for (let index = 0; index <= last; index += 1) {
    const literal = literals[index];
    at = literal === undefined ? -1 : endOfLiteral(view, at, end, literal);
    if (at < 0) return undefined;
    if (index === last) break;
    const from = at;
    at = endOfDigits(view, from, end);
    if (at === from) return undefined;
    if (index !== lsnAfter) continue;
    if (at - from > 1 && view.getUint8(from) === zero) return undefined;
    lsn = integerOf(view, from, at);
    if (!isLogPosition(lsn)) return undefined;
  }
  return at === end ? lsn : undefined;
}

/** The number that the digits from `from` to `to` are. */
function integerOf(view: DataView, from: number, to: number): number | bigint {
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 10 + (view.getUint8(at) - zero);
  if (Number.isSafeInteger(value)) return value;
  let whole = 0n;
  for (let at = from; at < to; at += 1) whole = whole * 10n + BigInt(view.getUint8(at) - zero);
  return whole;
}
