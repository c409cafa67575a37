import { describeError, serveMonitoring, silentLogger, unlessAborted, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { readModelStatus, type ModelStatus } from '../status.ts';
import type { ModelStates } from './model-states.ts';
import { whyNotReady } from './readiness.ts';

/** What the models' database and Kafka say of them. */
type Reading = {
  readonly models: readonly ModelStatus[];
  /** By model, why it could not be read. */
  readonly unreadable: Readonly<Record<string, string>>;
};

/** A reading is given again for so long: who asks often costs the servers no more. */
const keptMs = 1000;
/** For the read database and Kafka to answer. */
const answerMs = 5000;

/**
 * Serves `/livez`, `/readyz`, `/status` and `/metrics` of a process that runs these models, at `readModel.http`; gives null without it. The
 * models are read in their database and in Kafka when somebody asks, so `/readyz` also says that these do not answer.
 *
 * @throws CdcError MONITORING_UNAVAILABLE
 */
export async function serveReadModel(config: PipelineConfig, states: ModelStates, logger: Logger): Promise<AsyncDisposable | null> {
  const address = config.readModel?.http;
  if (address === undefined) return null;
  const read = oneAtATime(modelsReader(config, [...states.all().keys()]));
  // Loaded only where figures are served.
  const { createReadModelMetrics } = await import('./metrics.ts');
  const metrics = createReadModelMetrics();
  const server = await serveMonitoring(
    address,
    {
      async whyNotReady() {
        const { models, unreadable } = await read();
        return [
          ...whyNotReady(states.all(), models),
          ...Object.entries(unreadable).map(([model, why]) => `model ${model} cannot be read: ${why}`),
        ];
      },
      status: async () => ({ states: Object.fromEntries(states.all()), ...(await read()) }),
      contentType: metrics.contentType,
      metrics: async () => await metrics.render(states.all(), (await read()).models),
    },
    'readModel.http',
  );
  logger.info({ url: server.url }, 'serving /metrics, /livez, /readyz and /status');
  return server;
}

/**
 * Reads each model by itself: one that cannot be read hides no other. Never rejects, and takes no longer than {@link answerMs}. A model whose
 * servers hang is not asked again beside the question that hangs, so that these take no more connections with time.
 */
function modelsReader(config: PipelineConfig, names: readonly string[]): () => Promise<Reading> {
  const asked = new Map<string, Promise<readonly ModelStatus[]>>();
  const ask = (name: string): Promise<readonly ModelStatus[]> => {
    const asking = asked.get(name) ?? readModelStatus(config, [name], silentLogger).finally(() => asked.delete(name));
    asked.set(name, asking);
    return asking;
  };
  return async () => {
    const limit = AbortSignal.timeout(answerMs);
    const unreadable: Record<string, string> = {};
    const models = await Promise.all(
      names.map(async (name) => {
        try {
          return await unlessAborted(ask(name), limit);
        } catch (error) {
          unreadable[name] = limit.aborted
            ? `the read database or Kafka has not answered within ${answerMs / 1000} s`
            : describeError(error);
          return [];
        }
      }),
    );
    return { models: models.flat(), unreadable };
  };
}

/** Gives a reading again until {@link keptMs} after it has ended; whoever asks meanwhile shares it. */
function oneAtATime(read: () => Promise<Reading>): () => Promise<Reading> {
  let last: Promise<Reading> | null = null;
  return async () => {
    last ??= read().finally(() => {
      setTimeout(() => (last = null), keptMs).unref();
    });
    return await last;
  };
}
