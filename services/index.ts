/**
 * Services that users of the pipeline's data call, so that none of them touches a topic or a table. The query API serves the mirrors and projections of one
 * read model over HTTP; the order service takes commands on the sample's orders, in the legacy system. The gateway is the one entrance: login, routes,
 * instances.
 *
 * Promises: the query API reads only, as a role that can do nothing else; every answer says how fresh it is, never too fresh; a switch to another version of
 * the model goes unnoticed. The order service does a command once or not at all, and says what to wait for to see it. Memory is bounded, and a dependency
 * that is away or slow is not waited for again and again. Knows the read model by its public files, and not Kafka.
 */
export { startQueryApi, type QueryApiOptions } from './query-api/start.ts';
export { queryApiRoles } from './query-api/roles.ts';
export { orderServiceRoles } from './orders/roles.ts';
export { startOrderService, type OrderServiceOptions } from './orders/start.ts';
export { startGateway, type GatewayOptions } from './gateway/start.ts';
export { createMetrics as createGatewayMetrics } from './gateway/metrics.ts';
export type { RunningService } from './running-service.ts';
export { createMetrics } from './query-api/http/metrics.ts';
export { createOrderMetrics } from './orders/metrics.ts';
