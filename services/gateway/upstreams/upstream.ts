import { Agent } from 'undici';
import { describeError, pause, type Logger, type UpstreamConfig } from '#pipeline/index.ts';
import { readCas } from '../../http/certificates.ts';
import { Problem } from '../../http/problems.ts';
import { connectorOf } from './connections.ts';
import { followInstances } from './discovery.ts';
import { failureOf, hasSeenNothing, type Failure } from './failures.ts';
import { createInstances, type Instance, type Instances } from './instances.ts';

/** A service behind the gateway. Disposing cuts off its connections. */
export type Upstream = AsyncDisposable & {
  readonly name: string;
  /** What requests to its instances are sent with. */
  readonly agent: Agent;
  readonly instances: Instances['all'];
  /**
   * An instance for the next try of a request. The try counts as open until it is released.
   *
   * @throws Problem upstream-unavailable, upstream-busy
   */
  begin(tried: ReadonlySet<Instance>): Try;
};

export type Try = {
  readonly instance: Instance;
  /** The head of an answer is there. */
  answered(): void;
  /** Releases it too. */
  failed(error: unknown): Failure;
  /** The request has ended. A second time does nothing. */
  release(): void;
};

export type UpstreamOptions = {
  readonly name: string;
  readonly settings: UpstreamConfig;
  readonly logger: Logger;
  readonly onTry: (outcome: 'answered' | Failure) => void;
  readonly signal: AbortSignal;
};

/**
 * Looks for the instances, checks them from then on, and spreads requests over them.
 *
 * @throws CdcError SERVICE_TLS_INVALID
 */
export async function openUpstream({ name, settings, logger: parent, onTry, signal: outer }: UpstreamOptions): Promise<Upstream> {
  const { health, caFile, balance, pendingMost, answerTimeoutMs, idleTimeoutMs } = settings;
  const ca = caFile === undefined ? null : await readCas(`services.gateway.upstreams.${name}.caFile`, caFile);
  const logger = parent.child({ upstream: name });
  const stopping = new AbortController();
  const signal = AbortSignal.any([outer, stopping.signal]);
  const instances = createInstances({ balance, pendingMost, failures: health.failures });
  const agent = new Agent({
    // Checks need a connection besides.
    connections: pendingMost + 1,
    connect: connectorOf({ ...settings, ca }),
    headersTimeout: answerTimeoutMs,
    bodyTimeout: idleTimeoutMs,
  });
  const takeOut = (instance: Instance, reason: string, decisive: boolean): void => {
    if (instances.failed(instance, reason, decisive)) logger.warn({ instance: instance.url, reason }, 'an instance is taken out');
  };
  await followInstances({ upstream: settings, onInstances: (urls) => instances.replace(urls), logger, signal });
  const check = async (instance: Instance): Promise<void> => {
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(health.timeoutMs)]);
      const { statusCode, body } = await agent.request({ origin: instance.url, path: health.path, method: 'GET', signal: limit });
      await body.dump();
      if (statusCode !== 200) takeOut(instance, `${health.path} answers ${statusCode}`, false);
      else if (instances.passed(instance)) logger.info({ instance: instance.url }, 'an instance is back');
    } catch (error) {
      if (!signal.aborted) takeOut(instance, describeError(error), hasSeenNothing(failureOf(error)));
    }
  };
  const checking = (async () => {
    while (!signal.aborted) {
      await Promise.all(instances.all.map(check));
      await pause(health.intervalMs, signal);
    }
  })();
  return {
    name,
    get instances() {
      return instances.all;
    },
    agent,
    begin(tried) {
      const instance = instances.choose(tried);
      if (instance === null) throw noneLeft(name, instances.all);
      instance.pending += 1;
      let isOpen = true;
      const release = (): void => {
        if (isOpen) instance.pending -= 1;
        isOpen = false;
      };
      return {
        instance,
        release,
        answered() {
          instances.answered(instance);
          onTry('answered');
        },
        failed(error) {
          release();
          const failure = failureOf(error);
          onTry(failure);
          if (failure !== 'aborted') takeOut(instance, describeError(error), hasSeenNothing(failure));
          return failure;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await agent.destroy();
      await checking;
    },
  };
}

function noneLeft(name: string, all: readonly Instance[]): Problem {
  if (all.length === 0) return new Problem('upstream-unavailable', `No instance of ${name} is known.`);
  return new Problem('upstream-busy', `All instances of ${name} have as many requests as they may.`);
}
