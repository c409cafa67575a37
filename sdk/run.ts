import type { EventDecoder } from '#change-events/index.ts';
import type { Kafka, KafkaAdmin } from '#kafka/index.ts';
import type { Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import type { Tx } from './apply/guard.ts';
import type { HandlerContext } from './options.ts';
import type { Troubles } from './apply/troubles.ts';
import type { Delivered, MessageReader } from './changes/message-reader.ts';
import type { ConsumerState } from './consumer.ts';
import type { Lifetime } from './lifetime.ts';
import type { Settings } from './settings.ts';

/** A consumer at work. */
export type Run = {
  readonly settings: Settings;
  readonly pool: Pool;
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly decoder: EventDecoder;
  readonly readMessage: MessageReader;
  readonly logger: Logger;
  readonly lifetime: Lifetime;
  readonly troubles: Troubles;
  readonly handle: (changes: readonly Delivered[], tx: Tx, call: HandlerContext) => Promise<void>;
  state: ConsumerState;
};
