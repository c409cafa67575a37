import type { EventDecoder } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { warnOfCut } from '../consume/beginnings.ts';
import type { EventSink, ReaderContext } from '../consume/partition-reader.ts';
import { decodeInTurns, type Decoded, type DecodedEvents } from '../decode/decode-batch.ts';
import type { Mirror } from '../mirrors/mirror.ts';
import type { Mirrors } from '../mirrors/mirrors.ts';
import type { BatchScheduler } from './batch-scheduler.ts';

/** What a member of a read model's group goes by. */
export type MirrorContext = ReaderContext & {
  readonly scheduler: BatchScheduler;
  readonly mirrors: Mirrors;
  readonly decoder: EventDecoder;
  /** What an event that shows another table than its mirror's does. */
  readonly mismatches: 'halt' | 'park';
};

/** Events go into the mirrors of their topics. */
export function mirrorSink(context: MirrorContext): EventSink<DecodedEvents> {
  const { scheduler, mirrors, logger } = context;
  return {
    decode: (place, messages) => decode(context, place, messages),
    none: (topic) => noEvents(mirrors.of(topic)),
    submit: (move, events) => scheduler.submit({ ...move, ...events }),
    reload: () => mirrors.reload(),
    onCut: (cut) => warnOfCut(logger, mirrors, cut),
  };
}

/**
 * Decodes messages for the mirror of their topic, up to the first that shows another table than the mirror's. When they ask for columns of
 * it, these are made first and the messages decoded again.
 *
 * @throws CdcError of the first event that cannot be decoded, when such events stop the model
 */
export async function decode(
  { decoder, mirrors, onPoison, mismatches }: Pick<MirrorContext, 'decoder' | 'mirrors' | 'onPoison' | 'mismatches'>,
  place: { readonly topic: string; readonly partition: number },
  messages: readonly ConsumedMessage[],
): Promise<Omit<Decoded, 'demands'>> {
  for (;;) {
    const mirror = mirrors.of(place.topic);
    const { demands, ...decoded } = await decodeInTurns(decoder, mirror, place, messages, mismatches);
    const [first] = decoded.events.poisoned.values();
    if (onPoison === 'stop' && first !== undefined) throw first.error ?? new Error(first.cause);
    if (demands.length === 0) return decoded;
    await mirrors.follow(mirror, demands);
  }
}

/** Events of a batch that only moves a position. */
export function noEvents(mirror: Mirror): DecodedEvents {
  return { mirror, messages: [], changes: [], poisoned: new Map() };
}
