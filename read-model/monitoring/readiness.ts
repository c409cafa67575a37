import type { ModelStatus } from '../status.ts';
import type { ModelState } from './model-states.ts';

/**
 * Why a process does not do its work, one sentence each; none when it does. Pure. It is about what this process applies: a model that is stale
 * because its source or its capture has stopped is no reason, and `/status` and the metrics show it. Whoever waits to take over is ready.
 */
export function whyNotReady(states: ReadonlyMap<string, ModelState>, models: readonly ModelStatus[]): readonly string[] {
  return [...states].flatMap(([name, state]) => {
    const model = models.find((one) => one.model === name);
    return [
      ...(state === 'consuming' || state === 'waiting to take over' ? [] : [`model ${name} is ${state}`]),
      ...(model === undefined ? [] : faultsOf(model)),
    ];
  });
}

function faultsOf({ model, stopped, haltedViews, partitions }: ModelStatus): readonly string[] {
  return [
    ...(stopped === null ? [] : [`model ${model} has been given up: ${stopped.code}: ${stopped.cause}`]),
    ...haltedViews.map(({ projection, code, cause }) => `view ${model}.${projection} halts: ${code}: ${cause}`),
    ...partitions.flatMap(({ topic, partition, halted }) =>
      halted === null ? [] : [`model ${model} halts at ${topic}/${partition}: ${halted.code}: ${halted.cause}`],
    ),
  ];
}
