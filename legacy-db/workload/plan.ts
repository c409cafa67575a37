import { operationKinds, type ItemToOrder, type Operation, type OperationKind, type Step, type Transaction } from './operation.ts';
import { createRandom, type Random } from './random.ts';
import { newCustomer, newProduct, noteText, onePatch, onePut } from './values.ts';

export type PlanOptions = {
  readonly seed: number;
  /** Operations per second; Infinity makes all of them due at once. */
  readonly rate: number;
};

/** Of a thousand operations, how many are of each kind. */
const shares: Readonly<Record<OperationKind, number>> = {
  'place-order': 240,
  patch: 280,
  replace: 90,
  'cancel-order': 60,
  'remove-item': 60,
  register: 50,
  burst: 60,
  'late-commit': 40,
  rollback: 40,
  savepoint: 50,
  'multi-table': 30,
};

const longHold = { low: 50, high: 1500 };

/**
 * The endless plan of a workload: which operation, with which values, at what time. A pure function of the seed; operation `i` does not
 * depend on how many are taken, and what is done does not depend on the rate.
 */
export function* planWorkload({ seed, rate }: PlanOptions): Generator<Operation, never> {
  const random = createRandom(seed);
  const interval = 1000 / rate;
  for (let index = 0; ; index += 1) {
    // Each has its own slot, so the schedule neither drifts nor bunches up; where in it, is chance.
    const dueMs = (index + random.fraction()) * interval;
    const kind = chooseKind(random);
    yield { index, kind, dueMs, transactions: planTransactions(kind, random) };
  }
}

function chooseKind(random: Random): OperationKind {
  let left = random.integer(0, Object.values(shares).reduce((sum, share) => sum + share, 0) - 1);
  for (const kind of operationKinds) {
    left -= shares[kind];
    if (left < 0) return kind;
  }
  return 'patch';
}

function planTransactions(kind: OperationKind, random: Random): readonly Transaction[] {
  switch (kind) {
    case 'place-order':
      return [commit(placeOrder(random))];
    case 'patch':
      return [commit(onePatch(random))];
    case 'replace':
      return [commit(onePut(random))];
    case 'cancel-order':
      return [commit({ do: 'cancel-order', order: random.fraction(), leaveItemsToForeignKey: random.chance(0.5) })];
    case 'remove-item':
      return [commit({ do: 'remove-item', item: random.fraction() })];
    case 'register':
      return [commit(random.chance(0.7) ? newCustomer(random) : newProduct(random))];
    case 'burst': {
      const first = onePatch(random);
      const updates = Array.from({ length: random.integer(2, 7) }, () => onePatch(random, first));
      return [first, ...updates].map((step) => commit(step));
    }
    case 'late-commit': {
      const step = random.chance(0.5) ? placeOrder(random) : onePatch(random);
      return [{ steps: [step], holdMs: random.integer(longHold.low, longHold.high), ending: 'commit' }];
    }
    case 'rollback': {
      const steps = random.chance(0.5) ? [placeOrder(random)] : [onePatch(random), cancelOrPatch(random)];
      return [{ steps, holdMs: random.chance(0.2) ? random.integer(5, 100) : 0, ending: 'rollback' }];
    }
    case 'savepoint':
      return [commit(...withSavepoints(random))];
    case 'multi-table':
      return [commit(...acrossTables(random))];
  }
}

function commit(...steps: readonly Step[]): Transaction {
  return { steps, holdMs: 0, ending: 'commit' };
}

function placeOrder(random: Random): Step {
  return {
    do: 'place-order',
    customer: random.fraction(),
    note: random.chance(0.3) ? noteText(random) : null,
    items: Array.from({ length: random.integer(1, 5) }, () => oneItem(random)),
  };
}

function oneItem(random: Random): ItemToOrder {
  return { product: random.fraction(), quantity: random.integer(1, 9) };
}

function cancelOrPatch(random: Random): Step {
  if (random.chance(0.5)) return onePatch(random);
  return { do: 'cancel-order', order: random.fraction(), leaveItemsToForeignKey: random.chance(0.5) };
}

/** Something kept, something taken back, something nested: sub-transactions have transaction ids of their own. */
function withSavepoints(random: Random): readonly Step[] {
  const order = random.fraction();
  const addItem: Step = { do: 'add-item', order, item: oneItem(random) };
  const kept: Step = { do: 'savepoint', steps: [addItem], ending: 'release' };
  const takenBack: Step = { do: 'savepoint', steps: [placeOrder(random), onePatch(random)], ending: 'rollback' };
  const nested: Step = {
    do: 'savepoint',
    steps: [onePatch(random), { do: 'savepoint', steps: [onePatch(random)], ending: random.chance(0.5) ? 'release' : 'rollback' }],
    ending: 'release',
  };
  return random.oneOf<readonly Step[]>([
    [kept, takenBack],
    [takenBack, kept, onePatch(random)],
    [onePatch(random), nested],
    [placeOrder(random), takenBack, nested],
  ]);
}

function acrossTables(random: Random): readonly Step[] {
  return [placeOrder(random), onePatch(random, 'customers'), onePatch(random, 'products'), onePatch(random, 'orders')];
}
