/** The query API as a process of its own; says its port on standard output. */
import { createLogger, pipelineSchema } from '#pipeline/index.ts';
import { startQueryApi } from '#services/index.ts';

const config = pipelineSchema.parse(JSON.parse(process.env['BENCH_CONFIG'] ?? ''));
await using api = await startQueryApi({ config, logger: createLogger('query-api', 'error'), signal: new AbortController().signal });
process.stdout.write(`${new URL(api.url).port}\n`);
await api.closed;
