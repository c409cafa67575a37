/**
 * How far a table is applied, as answers tell it (`Position`) and requests ask for it (`Min-Position`): `topic:partition=offset,…;topic:…`, each offset
 * the next one to be applied. A request may also give a time: all that was committed in the source before it. Pure.
 */
export type Position = ReadonlyMap<string, bigint>;

/** A place of {@link Position}: `topic/partition`. */
type Place = string;

export type Wanted =
  | { readonly kind: 'offsets'; readonly offsets: ReadonlyMap<Place, bigint> }
  /** µs since the epoch, of the source's clock. */
  | { readonly kind: 'time'; readonly micros: bigint };

/** What a model has reached. */
export type Reached = {
  readonly offsets: Position;
  /** µs since the epoch: everything that was committed in the source before is applied. Null: not known. */
  readonly asOf: bigint | null;
};

/** Most characters of a position. One of more partitions than that holds is not told; the time is. */
export const positionMost = 4000;

/** A position is that of many answers. */
const formatted = new WeakMap<Position, string>();

export function formatPosition(position: Position): string {
  const known = formatted.get(position);
  if (known !== undefined) return known;
  const text = format(position);
  formatted.set(position, text);
  return text;
}

function format(position: Position): string {
  const byTopic = Map.groupBy([...position], ([place]) => place.slice(0, place.lastIndexOf('/')));
  return [...byTopic]
    .map(
      ([topic, places]) => `${topic}:${places.map(([place, offset]) => `${place.slice(place.lastIndexOf('/') + 1)}=${offset}`).join(',')}`,
    )
    .join(';');
}

const onePart = /^(?<topic>[\w.-]{1,249}):(?<places>\d{1,9}=\d{1,18}(?:,\d{1,9}=\d{1,18})*)$/;
const instant = /^(?<seconds>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?<fraction>\d{1,9}))?(?<zone>Z|[+-]\d\d:\d\d)$/i;

/** Null for a text that is neither a position nor a time with a zone. */
export function parseWanted(text: string): Wanted | null {
  const micros = parseInstant(text);
  if (micros !== null) return { kind: 'time', micros };
  if (text.length > positionMost) return null;
  const offsets = new Map<string, bigint>();
  for (const part of text.split(';')) {
    const { topic, places } = onePart.exec(part)?.groups ?? {};
    if (topic === undefined || places === undefined) return null;
    for (const place of places.split(',')) {
      const [partition = '', offset = ''] = place.split('=');
      offsets.set(`${topic}/${Number(partition)}`, BigInt(offset));
    }
  }
  return { kind: 'offsets', offsets };
}

/** RFC 3339, to the microsecond; digits beyond are rounded up, so that nothing is claimed too soon. */
function parseInstant(text: string): bigint | null {
  const { seconds, fraction = '', zone } = instant.exec(text)?.groups ?? {};
  if (seconds === undefined || zone === undefined) return null;
  const ms = Date.parse(`${seconds}${zone.toUpperCase()}`);
  if (Number.isNaN(ms)) return null;
  const nanos = BigInt(fraction.padEnd(9, '0'));
  return BigInt(ms) * 1000n + (nanos + 999n) / 1000n;
}

/** Times are of the source's clock, which may be ahead: heartbeats count as that much earlier. */
export function laterBy(clockAheadMs: number, wanted: Wanted): Wanted {
  return wanted.kind === 'time' ? { ...wanted, micros: wanted.micros - BigInt(clockAheadMs) * 1000n } : wanted;
}

/** Whether everything that was asked for is applied. */
export function hasReached({ offsets, asOf }: Reached, wanted: Wanted): boolean {
  if (wanted.kind === 'time') return asOf !== null && asOf >= wanted.micros;
  return [...wanted.offsets].every(([place, offset]) => (offsets.get(place) ?? -1n) >= offset);
}

/** As the database writes it: `topic/partition=offset` separated by spaces. */
export function readOffsets(text: string | null): Position {
  const pairs = text === null || text === '' ? [] : text.split(' ');
  return new Map(
    pairs.map((pair) => {
      const at = pair.lastIndexOf('=');
      return [pair.slice(0, at), BigInt(pair.slice(at + 1))];
    }),
  );
}
