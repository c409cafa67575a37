import type { OutgoingMessage } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { RememberedKeys } from '../fence/remembered-keys.ts';
import { encodeChunk, encodeHead, type RememberedChunk } from './codec.ts';
import type { Position } from './position.ts';
import { chunkKey, headKey, tombstone, type StoredTable } from './position-topic.ts';

/** When a table has this many chunks they are written again as one. */
const chunksMax = 50;
/** Keys in one chunk record: well below a message's limit for keys of ordinary size. */
const keysPerChunk = 5000;

/** The records of one commit, and what holds once they are committed. */
export type JournalEntry = { readonly messages: readonly OutgoingMessage[]; readonly committed: () => void };

/**
 * One table's position and remembered keys, as last committed, and the records that move them on. Nothing changes here before
 * `committed()` is called: a transaction that failed leaves no trace.
 */
export class TableJournal {
  readonly #table: string;
  readonly #remembered = new RememberedKeys();
  #position: Position | null;
  #chunks: readonly number[];

  /** @throws CdcError POSITION_INCOMPLETE */
  constructor(table: string, stored: StoredTable | undefined) {
    this.#table = table;
    this.#position = stored?.head?.position ?? null;
    this.#chunks = stored?.head?.chunks ?? [];
    const incomplete = stored === undefined ? null : chunkMissing(table, stored);
    if (incomplete !== null) throw incomplete;
    for (const chunk of this.#chunks) {
      for (const [xid, keys] of stored?.chunks.get(chunk) ?? []) for (const key of keys) this.#remembered.add(xid, key);
    }
    this.#forget();
  }

  get position(): Position | null {
    return this.#position;
  }

  get remembered(): RememberedKeys {
    return this.#remembered;
  }

  /** Moves on in memory only, after a pass that published nothing: a crash goes back to the last commit and loses nothing by it. */
  advance(position: Position): void {
    this.#position = position;
    this.#forget();
  }

  /** Takes the position as the table is now (adoptPosition); null begins again. Keys that are remembered of another table of that name mean nothing. */
  adopt(position: Position | null): void {
    const was = this.#position?.relation?.oid;
    if (position === null || (was !== undefined && was !== position.relation?.oid)) this.#remembered.clear();
    this.#position = position;
  }

  /** The records of a commit to `position` that remembers `added` besides. */
  entry(position: Position, added: readonly (readonly [xid: bigint, key: string])[]): JournalEntry {
    const fresh = groupByXid(added);
    const rewrite = this.#chunks.length + Math.ceil(added.length / keysPerChunk) > chunksMax;
    const kept = rewrite || this.#remembered.size === 0 ? [] : this.#chunks;
    const dropped = this.#chunks.filter((chunk) => !kept.includes(chunk));
    const contents = cut(rewrite ? [...this.#rememberedChunk(), ...fresh] : fresh);
    const first = Math.max(-1, ...this.#chunks) + 1;
    const written = contents.map((content, index) => ({ number: first + index, content }));
    const chunks = [...kept, ...written.map(({ number }) => number)];
    return {
      messages: [
        ...dropped.map((chunk) => tombstone(chunkKey(this.#table, chunk))),
        ...written.map(({ number, content }) => ({ key: chunkKey(this.#table, number), value: encodeChunk(content) })),
        { key: headKey(this.#table), value: encodeHead({ position, chunks }) },
      ],
      committed: () => {
        this.#chunks = chunks;
        for (const [xid, key] of added) this.#remembered.add(xid, key);
        this.advance(position);
      },
    };
  }

  #rememberedChunk(): RememberedChunk {
    return [...this.#remembered.entries()].map(([xid, keys]) => [xid, [...keys]] as const);
  }

  #forget(): void {
    const horizon = this.#position?.horizon ?? null;
    if (horizon !== null) this.#remembered.forgetBelow(horizon);
  }
}

/**
 * A commit writes and drops chunks with the head that lists them, and compaction keeps the last record of a key: only from outside can one be taken
 * away. Without it, what is remembered as published there would be published again. POSITION_INCOMPLETE, or null when none is missing.
 */
export function chunkMissing(table: string, { head, chunks, place }: StoredTable): CdcError | null {
  const chunk = head?.chunks.find((one) => !chunks.has(one));
  if (chunk === undefined) return null;
  return new CdcError(
    'POSITION_INCOMPLETE',
    `the position of table ${table} (${place}) lists remembered keys (record ${chunkKey(table, chunk)}) that are not in that topic any more`,
    {
      remedy: `Give the topic cleanup.policy=compact alone, if it has another, and run cdc poller reset --table ${table}, which loads the table again.`,
    },
  );
}

function groupByXid(added: readonly (readonly [xid: bigint, key: string])[]): RememberedChunk {
  return [...Map.groupBy(added, ([xid]) => xid)].map(([xid, pairs]) => [xid, pairs.map(([, key]) => key)] as const);
}

/** Cuts a chunk into records of bounded size. */
function cut(chunk: RememberedChunk): readonly RememberedChunk[] {
  const records: (readonly [bigint, readonly string[]])[][] = [];
  let room = 0;
  for (const [xid, keys] of chunk) {
    for (let at = 0; at < keys.length;) {
      if (room === 0) {
        records.push([]);
        room = keysPerChunk;
      }
      const slice = keys.slice(at, at + room);
      records.at(-1)?.push([xid, slice]);
      room -= slice.length;
      at += slice.length;
    }
  }
  return records;
}
