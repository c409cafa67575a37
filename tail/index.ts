/**
 * Events as a person reads them: one line an event, of both strategies side by side, in the order of time.
 *
 * Promises: reads only, leaves no consumer group behind, decodes every format of the contract, and names what cannot be decoded by its place
 * and goes on. Shows values as they are in the topic: masked and left-out columns stay so. Leaves to others: what becomes of an event.
 */
export { eventsCommand } from './commands.ts';
