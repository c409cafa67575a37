/**
 * What knows both sides of a project: the source that is captured, and the read models that its tables go to. Here configuration, catalogue and read model
 * meet; capture and read model know nothing of each other.
 */
export { capturedUnder } from './captured-tables.ts';
export { initCommand } from './init/commands.ts';
