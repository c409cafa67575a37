import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { createMetrics } from '#cdc-poller/index.ts';
import { guardMetrics } from '#connectors/index.ts';
import { markdownTable } from '#pipeline/index.ts';
import { createReadModelMetrics } from '#read-model/index.ts';
import { createGatewayMetrics, createMetrics as queryApiMetrics, createOrderMetrics } from '#services/index.ts';

/** Where the reference of all metrics is. */
export const metricsReferenceFile = join(import.meta.dirname, '..', 'docs', 'reference', 'metrics.md');

const opening = `# Metrics

Prometheus metrics, as the programs register them. What to alert on: [operations.md](../operations.md#the-poller-monitoring).
The poller and the services also serve the usual metrics of their Node process (\`process_…\`, \`nodejs_…\`).

Generated from the registered metrics by \`npm run docs:metrics\`. A test fails when it is out of date.
`;

/** What prom-client keeps of a metric, beyond what its types say. */
const registered = z.array(z.object({ name: z.string(), help: z.string(), type: z.string(), labelNames: z.array(z.string()) }));

/** docs/reference/metrics.md: the metrics as Markdown, by program. */
export function metricsReference(): string {
  const poller = createMetrics(() => ({ poller: '', sharing: 'group', member: null, tables: [] }));
  const guard = guardMetrics([], 1);
  const queryApi = queryApiMetrics(() => ({
    streams: { clients: 0, watches: 0, slowClients: 0 },
    pool: { total: 0, idle: 0, waiting: 0 },
    modelReadable: false,
    stalenessMs: null,
    lastAnswers: { answers: 0, bytes: 0 },
  }));
  const gateway = createGatewayMetrics(() => ({ sessions: 0, upstreams: [] }));
  const orders = createOrderMetrics(
    () => ({ pool: { total: 0, idle: 0, waiting: 0 }, legacyReachable: false }),
    () => [],
  );
  return [
    opening,
    section('Poller', 'Served at `/metrics` of `poller.http`.', poller.registry.getMetricsAsArray()),
    section('Read model', 'Served at `/metrics` of `readModel.http`.', createReadModelMetrics().registry.getMetricsAsArray()),
    section('Guard', 'Served at `/metrics` by `cdc connectors watch --metrics-port`.', guard.registry.getMetricsAsArray()),
    section(
      'Query API',
      'Served at `/metrics` of `services.queryApi.monitoring`, or beside the API.',
      queryApi.registry.getMetricsAsArray(),
    ),
    section('Gateway', 'Served at `/metrics` of `services.gateway.monitoring`.', gateway.registry.getMetricsAsArray()),
    section(
      'Order service',
      'Served at `/metrics` of `services.orders.monitoring`, or beside the service.',
      orders.registry.getMetricsAsArray(),
    ),
  ].join('');
}

function section(title: string, where: string, metrics: unknown): string {
  const rows = registered
    .parse(metrics)
    .filter(({ name }) => name.startsWith('cdc_'))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, labelNames, help }) => [
      `\`${name}\``,
      type,
      labelNames
        .filter((label) => label !== 'le')
        .map((label) => `\`${label}\``)
        .join(', '),
      help,
    ]);
  return `\n## ${title}\n\n${where}\n\n${markdownTable(['metric', 'type', 'labels', 'what it is'], rows)}`;
}

if (import.meta.main) writeFileSync(metricsReferenceFile, metricsReference());
