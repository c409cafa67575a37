/**
 * TypeScript types of what services get: of each captured table its row, its key, its changes and its events, from the database's catalogue or from the schemas of a
 * registry.
 *
 * Promises: what the types say holds for every value that the strategy publishes, in the format that is configured; the same tables give the same text; reads only.
 * Leaves to others: the decoder that gives these values (change-events/), which form a value has (the poller's encoders), what the log has of a row (connectors/).
 */
export { typesCommand } from './commands.ts';
