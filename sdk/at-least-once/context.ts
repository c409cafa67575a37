import type { EventDecoder } from '#change-events/index.ts';
import type { KafkaAdmin } from '#kafka/index.ts';
import type { Logger } from '#pipeline/index.ts';
import type { Troubles } from '../apply/troubles.ts';
import type { Delivered, MessageReader } from '../changes/message-reader.ts';
import type { Lifetime } from '../lifetime.ts';
import type { HandlerContext } from '../options.ts';
import type { PoisonedChange } from './options.ts';
import type { Places } from './places.ts';

/** A consumer without a database, at work. */
export type AtLeastOnce = {
  readonly groupId: string;
  readonly admin: KafkaAdmin;
  readonly decoder: EventDecoder;
  readonly readMessage: MessageReader;
  readonly slices: { readonly bytes: number; readonly messages: number };
  readonly handlerTimeoutMs: number;
  readonly retryMaxMs: number;
  readonly handle: (changes: readonly Delivered[], call: HandlerContext) => Promise<void>;
  readonly onPoison:
    | ((poison: Omit<PoisonedChange, 'change'> & { readonly change: Delivered | null }, call: HandlerContext) => Promise<void>)
    | null;
  readonly places: Places;
  readonly troubles: Troubles;
  readonly lifetime: Lifetime;
  readonly logger: Logger;
};
