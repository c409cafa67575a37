import { CdcError, describeError } from '#pipeline/index.ts';

/** Whether a resource answers now; `detail` says what is wrong. */
export type Health = { readonly healthy: boolean; readonly detail?: string };

/**
 * Something that can be brought up and down: a server, or several. Compose with `sequence` and `parallel`; the composition is a
 * resource again.
 */
export type Resource = {
  readonly name: string;
  /** Resolves once it answers. Does nothing when it is up already. When it rejects, aborted or not, it has left nothing behind. */
  readonly up: (signal: AbortSignal) => Promise<void>;
  /** Resolves once it is gone. Does nothing when it is down already. */
  readonly down: () => Promise<void>;
  readonly healthCheck: () => Promise<Health>;
};

/** Up one after the other, down in reverse. A failure in the middle brings down, in reverse order, what was up. */
export function sequence(name: string, resources: readonly Resource[]): Resource {
  return {
    name,
    up: async (signal) => {
      const done: Resource[] = [];
      try {
        for (const resource of resources) {
          signal.throwIfAborted();
          await resource.up(signal);
          done.push(resource);
        }
      } catch (error) {
        await takeBack(done, error);
      }
    },
    down: () => downInReverse(resources),
    healthCheck: () => worst(resources),
  };
}

/**
 * All up at once, all down at once. The first failure aborts the others; when every one has settled, those that came up are
 * brought down and the first failure is thrown.
 */
export function parallel(name: string, resources: readonly Resource[]): Resource {
  return {
    name,
    up: async (signal) => {
      const failed = new AbortController();
      const either = AbortSignal.any([signal, failed.signal]);
      const done: Resource[] = [];
      const failures: unknown[] = [];
      const one = async (resource: Resource): Promise<void> => {
        try {
          signal.throwIfAborted();
          await resource.up(either);
          done.push(resource);
        } catch (error) {
          failures.push(error);
          failed.abort(new Error(`${resource.name} failed`, { cause: error }));
        }
      };
      await Promise.all(resources.map(one));
      if (failures.length > 0) await takeBack(done, failures[0]);
    },
    down: async () => {
      const outcomes = await Promise.allSettled(resources.map((resource) => resource.down()));
      throwFailures(outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : [])));
    },
    healthCheck: () => worst(resources),
  };
}

/** A resource that this run neither starts nor stops: it was up before. */
export function leaveAlone(resource: Resource): Resource {
  return { name: resource.name, up: async () => undefined, down: async () => undefined, healthCheck: resource.healthCheck };
}

async function takeBack(done: readonly Resource[], failure: unknown): Promise<never> {
  try {
    await downInReverse(done);
  } catch (error) {
    throw new CdcError('STACK_STOP_FAILED', `${describeError(failure)} Taking back what was started failed too: ${describeError(error)}`, {
      cause: failure,
    });
  }
  throw failure;
}

/** One that will not go down does not keep the others up. */
async function downInReverse(resources: readonly Resource[]): Promise<void> {
  const failures: unknown[] = [];
  for (const resource of resources.toReversed()) {
    try {
      await resource.down();
    } catch (error) {
      failures.push(error);
    }
  }
  throwFailures(failures);
}

function throwFailures(failures: readonly unknown[]): void {
  if (failures.length === 0) return;
  if (failures.length === 1) throw failures[0];
  throw new CdcError('STACK_STOP_FAILED', failures.map(describeError).join(' '), { cause: new AggregateError(failures) });
}

async function worst(resources: readonly Resource[]): Promise<Health> {
  const states = await Promise.all(
    resources.map(async (resource) => {
      const health = await resource.healthCheck();
      return { name: resource.name, ...health };
    }),
  );
  const ill = states.filter((state) => !state.healthy);
  if (ill.length === 0) return { healthy: true };
  return { healthy: false, detail: ill.map(({ name, detail }) => (detail === undefined ? name : `${name}: ${detail}`)).join('; ') };
}
