/** A read-model consumer as a process of its own, to be killed: takes its configuration from READ_MODEL_CONFIG. */
import { createLogger, pipelineSchema } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const config = pipelineSchema.parse(JSON.parse(process.env['READ_MODEL_CONFIG'] ?? ''));
const logger = createLogger('read-model', process.env['LOG_LEVEL'] ?? 'error');
await using running = await startReadModel({ config, logger, signal: stop.signal });
await running.closed;
