import type { ChangeEvent } from '#change-events/index.ts';
import { ownMember } from '#pipeline/index.ts';
import type { Mirror } from '../mirrors/mirror.ts';
import type { Change, Origin } from './change.ts';
import { toCell } from './values/parameter.ts';

/** What a history and a mark need to know of the event: read in full, which takes longer. */
export function withOrigin(mirror: Mirror, change: Change, event: ChangeEvent | null): Change {
  if (event === null) return change;
  const origin = originOf(event);
  if (change.kind !== 'delete') return { ...change, origin };
  const { before, source } = event;
  if (!mirror.history || before === null) return { ...change, origin, lsn: source.lsn ?? null };
  const cells = mirror.columns.map((column) => {
    const value = ownMember(before, column.name);
    if (value === undefined || value === null || column.isUnavailable(value)) return null;
    return toCell(column.name, value, column.toParameter);
  });
  return { ...change, origin, before: cells, lsn: source.lsn ?? null };
}

function originOf({ op, source }: ChangeEvent): Origin {
  const at = microsOf(source.ts_us) ?? microsOf(source.ts_ms, 1000n);
  // Beyond what Postgres has for a time: junk.
  const isTime = at !== null && at > -210_000_000_000_000_000n && at < 9_000_000_000_000_000_000n;
  return {
    op,
    at: isTime ? String(at) : null,
    transaction: source.txId === null || source.txId === undefined ? null : String(source.txId),
  };
}

function microsOf(time: number | bigint | null | undefined, unit = 1n): bigint | null {
  if (typeof time === 'bigint') return time * unit;
  return Number.isSafeInteger(time) ? BigInt(Number(time)) * unit : null;
}
