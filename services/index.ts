/**
 * Services that users of the pipeline's data call, so that none of them touches a topic or a table. The query API serves the mirrors and projections of one
 * read model over HTTP. The gateway is the one entrance: login, routes, instances.
 *
 * Promises: reads only, as a role that can do nothing else; every answer says how fresh it is, never too fresh; a switch to another version of the model
 * goes unnoticed; memory is bounded. Knows the read model by its public files, and neither Kafka nor the legacy database.
 */
export { startQueryApi, type QueryApiOptions, type RunningQueryApi } from './query-api/start.ts';
export { startGateway, type GatewayOptions, type RunningGateway } from './gateway/start.ts';
export { createMetrics as createGatewayMetrics } from './gateway/metrics.ts';
export { createMetrics } from './query-api/http/metrics.ts';
