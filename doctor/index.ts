/**
 * `cdc doctor`: looks at a legacy database, and at Kafka Connect, before anything is created in them, and reports everything that will go
 * wrong with the query-based or the log-based strategy. Three steps: probe/ reads facts (as the poller's role and as the
 * replicator's), judge/ turns facts into findings (pure), render.ts and report.ts show them. Promises: read-only sessions with short
 * timeouts and no lock beyond ACCESS SHARE; all findings in one pass; what a role may not see is `unknown`, never well. Leaves to
 * others: fixing anything.
 */
export { doctorCommand } from './commands.ts';
