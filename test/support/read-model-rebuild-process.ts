/** A rebuild as a process of its own, to be killed: takes its configuration from READ_MODEL_CONFIG, the model from its argument. */
import { createLogger, pipelineSchema } from '#pipeline/index.ts';
import { rebuild } from '#read-model/rebuild/rebuild.ts';

const config = pipelineSchema.parse(JSON.parse(process.env['READ_MODEL_CONFIG'] ?? ''));
const logger = createLogger('read-model', process.env['LOG_LEVEL'] ?? 'error');
await rebuild({ config, model: process.argv[2] ?? '', logger, signal: new AbortController().signal }, false);
