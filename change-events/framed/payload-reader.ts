import type { MessagePlace, RowChange } from '../decode.ts';
import type { JsonValue } from '../lossless-json.ts';

/**
 * Reads payloads that one schema wrote. `bytes` is a whole message; the payload begins after its frame. `value` and `change` throw CdcError
 * EVENT_UNDECODABLE when the bytes are not what the schema says.
 */
export type PayloadReader = {
  /** What the schema is called; null where it has no name. */
  readonly name: string | null;
  readonly value: (bytes: Buffer, place: MessagePlace) => JsonValue;
  readonly change: (bytes: Buffer, place: MessagePlace) => RowChange | null;
  /** The source transaction's id that an event names; null without. May throw anything. */
  readonly transaction: (bytes: Buffer) => string | null;
};
