import type { ParkedPoison } from '#read-model/engine/index.ts';
import type { ReadMessage } from '../changes/decode-changes.ts';
import type { Delivered } from '../changes/message-reader.ts';

/** A run of messages that is handed over as one, or the one message that is not handed over. Afterwards the partition goes on at `nextOffset`. */
export type Part = {
  readonly changes: readonly Delivered[];
  readonly poison: { readonly read: ReadMessage; readonly why: ParkedPoison } | null;
  readonly nextOffset: bigint;
  /** {@link splitAtPoisons}'s `lastDeleted` after the part. */
  readonly lastDeleted: string | null;
};

/**
 * Cuts the messages of one call of the handler at those that cannot be handled: what comes before one is handed over and committed by itself. A tombstone
 * that only follows its delete is left out. Pure.
 *
 * @param nextOffset where the partition goes on after all of them
 * @param lastDeleted the key of the message before them, in hex, when that was a delete
 * @param poisons by offset, what the handler has said of a change
 */
export function splitAtPoisons(
  messages: readonly ReadMessage[],
  nextOffset: bigint,
  lastDeleted: string | null,
  poisons: ReadonlyMap<bigint, string>,
): readonly Part[] {
  const parts: Part[] = [];
  let changes: Delivered[] = [];
  let deleted = lastDeleted;
  for (const [at, read] of messages.entries()) {
    const { message, change } = read;
    const key = message.key === null ? null : message.key.toString('hex');
    const follows = message.value === null && key !== null && key === deleted;
    const before = deleted;
    deleted = 'op' in change && change.op === 'delete' ? key : null;
    if (follows) continue;
    const said = poisons.get(message.offset);
    const why = said === undefined ? ('code' in change ? change : null) : { code: 'CONSUMER_POISON', cause: said };
    if (why !== null) {
      if (changes.length > 0) parts.push({ changes, poison: null, nextOffset: message.offset, lastDeleted: before });
      changes = [];
      const after = messages[at + 1]?.message.offset ?? nextOffset;
      parts.push({ changes, poison: { read, why }, nextOffset: after, lastDeleted: deleted });
    } else if ('op' in change) changes.push(change);
  }
  const last = parts.at(-1);
  if (changes.length > 0 || last?.nextOffset !== nextOffset) parts.push({ changes, poison: null, nextOffset, lastDeleted: deleted });
  return parts;
}
