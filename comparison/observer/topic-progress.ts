/** A partition's place in the observation: where it began, what comes next, and the last message seen. */
type PartitionProgress = { readonly start: bigint; next: bigint; lastMessage: bigint | null };

/** How far the observer has read each partition. Pure bookkeeping. */
export class TopicProgress {
  readonly #partitions = new Map<string, Map<number, PartitionProgress>>();

  start(topic: string, partition: number, offset: bigint): void {
    this.#of(topic).set(partition, { start: offset, next: offset, lastMessage: null });
  }

  /** The offset from which messages of the partition count. */
  next(topic: string, partition: number): bigint {
    return this.#entry(topic, partition).next;
  }

  advance(topic: string, partition: number, offset: bigint): void {
    const entry = this.#entry(topic, partition);
    if (offset > entry.next) entry.next = offset;
  }

  sawMessage(topic: string, partition: number, offset: bigint): void {
    this.#entry(topic, partition).lastMessage = offset;
  }

  /** Whether everything below these offsets has been read, control records included. */
  reached(topic: string, ends: readonly { readonly partition: number; readonly high: bigint }[]): boolean {
    return ends.every(({ partition, high }) => this.next(topic, partition) >= high);
  }

  /** Per partition that had a message: the offset after its last one. A consumer that has applied everything is there or beyond. */
  dataEnds(topic: string): ReadonlyMap<number, bigint> {
    const ends = new Map<number, bigint>();
    for (const [partition, { lastMessage }] of this.#of(topic)) if (lastMessage !== null) ends.set(partition, lastMessage + 1n);
    return ends;
  }

  /** How much of the topics of this prefix has been read: it grows as they are. */
  seen(topicPrefix: string): bigint {
    let sum = 0n;
    for (const [topic, partitions] of this.#partitions) {
      if (topic.startsWith(`${topicPrefix}.`)) for (const { next } of partitions.values()) sum += next;
    }
    return sum;
  }

  /** Where each partition began. */
  starts(topic: string): ReadonlyMap<number, bigint> {
    return new Map([...this.#of(topic)].map(([partition, { start }]) => [partition, start]));
  }

  #of(topic: string): Map<number, PartitionProgress> {
    let partitions = this.#partitions.get(topic);
    if (partitions === undefined) this.#partitions.set(topic, (partitions = new Map()));
    return partitions;
  }

  #entry(topic: string, partition: number): PartitionProgress {
    const partitions = this.#of(topic);
    let entry = partitions.get(partition);
    // A partition added while we watch: all of it is new.
    if (entry === undefined) partitions.set(partition, (entry = { start: 0n, next: 0n, lastMessage: null }));
    return entry;
  }
}
