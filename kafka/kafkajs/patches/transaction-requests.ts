import { builtOtherwise, internal } from './internals.ts';

/** By topic. */
type Partitions = Map<string, Set<number>>;

type Open = {
  /** What is going to be written to. */
  readonly planned: Partitions;
  /** What the coordinator has been told of, by the producer with this id and epoch. */
  readonly added: Partitions;
  producer: string | null;
  coordinator: { readonly cluster: object; readonly broker: object } | null;
};

/** Of this process, by transactional id. */
const transactions = new Map<string, Open>();

/** A transaction begins. */
export function openTransaction(transactionalId: string): void {
  transactions.set(transactionalId, { planned: new Map(), added: new Map(), producer: null, coordinator: null });
}

/** These partitions are going to be written to in the open transaction. */
export function planPartitions(transactionalId: string, topic: string, partitions: Iterable<number>): void {
  const open = transactions.get(transactionalId);
  if (open !== undefined) for (const partition of partitions) addTo(open.planned, topic, partition);
}

/** The transaction is going to be ended: its coordinator is looked up for that, since it may have moved. */
export function closeTransaction(transactionalId: string): void {
  transactions.delete(transactionalId);
}

type Question = {
  readonly transactionalId: string;
  /** A Long. */
  readonly producerId: { toString(): string };
  readonly producerEpoch: number;
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
};

type Lookup = { readonly groupId: string; readonly coordinatorType?: number };

const ofTransactions = 1;

/**
 * For each batch kafkajs looks the coordinator up and then tells it of the batch's partition, one batch after the other. Here the first question of a transaction
 * names all partitions that are planned by then, the others are answered without asking, and the coordinator is looked up again only behind an error, and
 * to end the transaction. A producer with another id or epoch (an owner that was replaced) always asks.
 *
 * @throws Error when kafkajs is built otherwise
 */
export function patchTransactionRequests(): void {
  replaceMethod<Question>('src/broker', 'addPartitionsToTxn', (ask) =>
    async function addPlanned(this: object, question) {
      const open = transactions.get(question.transactionalId);
      const producer = `${question.producerId.toString()}/${question.producerEpoch}`;
      if (open === undefined || (open.producer !== null && open.producer !== producer)) return await ask(this, question);
      open.producer = producer;
      const asked: Partitions = new Map();
      for (const { topic, partitions } of question.topics) for (const partition of partitions) addTo(asked, topic, partition);
      if (isSubset(asked, open.added)) return null;
      for (const [topic, partitions] of open.planned) for (const partition of partitions) addTo(asked, topic, partition);
      const missing = without(asked, open.added);
      try {
        const answer = await ask(this, { ...question, topics: missing });
        for (const { topic, partitions } of missing) for (const partition of partitions) addTo(open.added, topic, partition);
        return answer;
      } catch (error) {
        open.coordinator = null;
        throw error;
      }
    }); // prettier-ignore
  replaceMethod<Lookup>('src/cluster', 'findGroupCoordinator', (look) =>
    async function findOnce(this: object, asked) {
      const open = asked.coordinatorType === ofTransactions ? transactions.get(asked.groupId) : undefined;
      if (open === undefined) return await look(this, asked);
      const { coordinator } = open;
      if (coordinator !== null && coordinator.cluster === this && isConnected(coordinator.broker)) return coordinator.broker;
      const broker = await look(this, asked);
      if (typeof broker === 'object' && broker !== null) open.coordinator = { cluster: this, broker };
      return broker;
    }); // prettier-ignore
}

/** @throws Error when kafkajs is built otherwise */
function replaceMethod<Asked>(
  module: string,
  name: string,
  replace: (original: (of: object, asked: Asked) => Promise<unknown>) => (this: object, asked: Asked) => Promise<unknown>,
): void {
  const made = internal(module);
  const prototype: unknown = typeof made === 'function' ? made.prototype : undefined;
  if (typeof prototype !== 'object' || prototype === null) throw builtOtherwise('transactions');
  const original: unknown = Reflect.get(prototype, name);
  if (typeof original !== 'function') throw builtOtherwise('transactions');
  Reflect.set(
    prototype,
    name,
    replace(async (of, asked) => {
      const answer: unknown = await Reflect.apply(original, of, [asked]);
      return answer;
    }),
  );
}

function isConnected(broker: object): boolean {
  const ask: unknown = Reflect.get(broker, 'isConnected');
  if (typeof ask !== 'function') throw builtOtherwise('brokers');
  return Reflect.apply(ask, broker, []) === true;
}

function addTo(to: Partitions, topic: string, partition: number): void {
  const partitions = to.get(topic) ?? new Set();
  to.set(topic, partitions.add(partition));
}

function isSubset(some: Partitions, all: Partitions): boolean {
  return some.entries().every(([topic, partitions]) => partitions.isSubsetOf(all.get(topic) ?? new Set()));
}

function without(all: Partitions, some: Partitions): Question['topics'] {
  return [...all]
    .map(([topic, partitions]) => ({ topic, partitions: [...partitions.difference(some.get(topic) ?? new Set())] }))
    .filter(({ partitions }) => partitions.length > 0);
}
