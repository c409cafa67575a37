/**
 * The wire contract that both strategies write and the read model reads: Debezium's envelope as JSON, or as Avro or JSON Schema of a schema
 * registry, whose client is here; the lossless decoder of them all; the names of topics. Imports nobody but pipeline/ (errors, configuration).
 * Does not talk to Kafka: that is kafka/'s work.
 */
export type { CapturedTable, CapturedTables } from './captured-tables.ts';
export { queryConnector, unavailableValue, type ChangeEvent, type Operation, type Row, type RowValues } from './change-event.ts';
export { decodeChangeEvent, decodeKey, decodeRowChange, toRowChange, type MessagePlace, type RowChange } from './decode.ts';
export { eventDecoder, type EncodedMessage, type EventDecoder } from './event-decoder.ts';
export { frameOf, isFramed } from './framed/frame.ts';
export { heartbeatOf, heartbeatTable, heartbeatTopic, type Heartbeat } from './heartbeat.ts';
export { parseLossless, stringifyLossless, type JsonValue } from './lossless-json.ts';
export { openRegistry } from './registry/client.ts';
export type { NewSchema, RegisteredSchema, Registry, SchemaType, SchemaVersion } from './registry/registry.ts';
export { formatTableId, parseTableId, sharingTopics, topicName, topicProblem, type TableId } from './topic-name.ts';
