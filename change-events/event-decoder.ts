import type { SchemaRegistryConfig } from '#pipeline/index.ts';
import type { ChangeEvent, Row } from './change-event.ts';
import {
  decodeChangeEvent,
  decodeKey,
  decodeRowChange,
  decodeValue,
  toChangeEvent,
  toKey,
  type MessagePlace,
  type RowChange,
} from './decode.ts';
import type { JsonValue } from './lossless-json.ts';
import { isFramed } from './framed/frame.ts';
import { openRegistry } from './registry/client.ts';
import { transactionIdOf } from './transaction-id.ts';
import { createScanMemory, type ScanMemory } from './scan/scan-event.ts';
import { schemaCache, type SchemaCache, type SchemaSource } from './framed/schema-cache.ts';

/** The bytes of a message that a decoder looks at. */
export type EncodedMessage = { readonly key: Buffer | null; readonly value: Buffer | null };

/**
 * Decodes keys and values, whatever their format: JSON, or what carries the id of a schema in Confluent's wire format (a zero byte and the
 * id, big endian, before the payload): Avro and JSON Schema, always read with the schema that wrote them. What comes out is the same for
 * every format: integers keep every digit, and each value is in the contract's representation (docs/change-event.md). Null stays null.
 *
 * Every `decode…` throws CdcError EVENT_UNDECODABLE that names topic, partition and offset, and the schema's id where there is one.
 */
export type EventDecoder = {
  /**
   * Sees to it that the schemas of these messages are there; to be awaited before they are decoded. Looks at the first bytes only;
   * undefined, which is the usual answer, says that there is nothing to wait for. A schema that was loaded is kept; an id that
   * the registry does not know is asked for again by each call, and its messages cannot be decoded meanwhile.
   *
   * @throws CdcError REGISTRY_UNREACHABLE, REGISTRY_REFUSED (rejects): nothing is lost, the caller tries again
   */
  readonly prepare: (messages: Iterable<EncodedMessage>, signal?: AbortSignal) => Promise<void> | undefined;
  /** What becomes of a row: several times faster than the whole event. */
  readonly decodeRowChange: (value: Buffer | null, place: MessagePlace) => RowChange | null;
  readonly decodeChangeEvent: (value: Buffer | null, place: MessagePlace) => ChangeEvent | null;
  readonly decodeKey: (key: Buffer | null, place: MessagePlace) => Row | null;
  /** A key or value as JSON text, for people and to compare; null where it cannot be read. Never throws. */
  readonly text: (bytes: Buffer) => string | null;
  /** Any message, of whatever shape: those of Debezium's transaction topic are no change events. */
  readonly decodeValue: (value: Buffer | null, place: MessagePlace) => JsonValue;
  /**
   * The id of the source transaction that an event names; null for a snapshot's events and what is no event. Never throws: of JSON
   * it only looks for the bytes, so that an event that cannot be decoded still counts for its transaction.
   */
  readonly transactionId: (value: Buffer) => string | null;
};

/**
 * A decoder with a cache of schemas of its own. Costs nothing, and asks nobody, until a message begins with a zero byte. Without a registry
 * such a message is EVENT_UNDECODABLE.
 */
export function eventDecoder(registry: SchemaRegistryConfig | undefined): EventDecoder {
  return decoderWith(registry === undefined ? undefined : openRegistry(registry));
}

/** {@link eventDecoder} with schemas from anywhere. */
export function decoderWith(registry: SchemaSource | undefined): EventDecoder {
  let made: SchemaCache | undefined;
  const memories = new Map<string, ScanMemory>();
  let last = { topic: '', memory: createScanMemory() };
  const memoryOf = (topic: string): ScanMemory => {
    if (topic === last.topic) return last.memory;
    const memory = memories.get(topic) ?? createScanMemory();
    memories.set(topic, memory);
    last = { topic, memory };
    return memory;
  };
  const cache = (): SchemaCache => (made ??= schemaCache(registry));
  const read = (
    bytes: Buffer,
    where: MessagePlace,
    part?: 'key' | 'value',
  ): { readonly value: JsonValue; readonly place: MessagePlace } => {
    const { reader, place } = cache().readerOf(bytes, where, part);
    return { value: reader.value(bytes, place), place };
  };
  return {
    prepare: (messages, signal) => {
      if (registry === undefined) return undefined;
      let wanted: Set<number> | undefined;
      for (const { key, value } of messages) {
        if (key !== null && isFramed(key)) wanted = cache().want(key, wanted);
        if (value !== null && isFramed(value)) wanted = cache().want(value, wanted);
      }
      return wanted === undefined ? undefined : cache().load(wanted, signal);
    },
    decodeRowChange: (bytes, where) => {
      if (bytes === null || !isFramed(bytes)) return decodeRowChange(bytes, where, memoryOf(where.topic));
      const { reader, place } = cache().readerOf(bytes, where, 'value');
      return reader.change(bytes, place);
    },
    decodeChangeEvent: (bytes, where) => {
      if (bytes === null || !isFramed(bytes)) return decodeChangeEvent(bytes, where);
      const { value, place } = read(bytes, where, 'value');
      return toChangeEvent(value, place);
    },
    decodeKey: (bytes, where) => {
      if (bytes === null || !isFramed(bytes)) return decodeKey(bytes, where);
      const { value, place } = read(bytes, where, 'key');
      return toKey(value, place);
    },
    decodeValue: (bytes, where) => (bytes === null || !isFramed(bytes) ? decodeValue(bytes, where) : read(bytes, where).value),
    text: (bytes) => (isFramed(bytes) ? cache().text(bytes) : bytes.toString('utf8')),
    transactionId: (bytes) => (isFramed(bytes) ? cache().transactionId(bytes) : transactionIdOf(bytes)),
  };
}
