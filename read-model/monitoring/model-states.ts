/** What a process is doing about one of its models. */
export type ModelState = 'starting' | 'waiting for topics' | 'waiting to take over' | 'joining' | 'consuming' | 'ended';

/** Where the runs of a process say what they are doing. */
export type ModelStates = {
  readonly set: (model: string, state: ModelState) => void;
  /** In the order of the models. */
  readonly all: () => ReadonlyMap<string, ModelState>;
};

export function modelStates(models: readonly string[]): ModelStates {
  const states = new Map<string, ModelState>(models.map((model) => [model, 'starting']));
  return { set: (model, state) => void states.set(model, state), all: () => states };
}
