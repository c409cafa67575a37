/**
 * Brings messages of several partitions into the order of their time. A partition that has not yet come to where it ended at the start holds
 * the others back while it has nothing here: what it has next may be older. Afterwards, what is here is given in order and nothing waits. Pure
 * bookkeeping.
 */
export class TimeOrder<Message extends { readonly timestamp: number }> {
  readonly #queues = new Map<string, Message[]>();
  readonly #holding = new Set<string>();

  /** @param isBehind whether more of the partition is sure to come */
  add(partition: string, messages: readonly Message[], isBehind: boolean): void {
    const queue = this.#queues.get(partition) ?? [];
    // A push with all of them as arguments would have a limit.
    for (const message of messages) queue.push(message);
    this.#queues.set(partition, queue);
    if (isBehind) this.#holding.add(partition);
    else this.#holding.delete(partition);
  }

  /** Nothing came of the partition for now, whatever it still has: others do not wait for it. */
  letGo(partition: string): void {
    this.#holding.delete(partition);
  }

  isEmpty(partition: string): boolean {
    return (this.#queues.get(partition)?.length ?? 0) === 0;
  }

  /** What can be printed by now. */
  *take(): Generator<Message> {
    const heads = new Map<string, number>();
    try {
      for (;;) {
        let first: { readonly partition: string; readonly message: Message } | null = null;
        for (const [partition, queue] of this.#queues) {
          const message = queue[heads.get(partition) ?? 0];
          if (message === undefined) {
            if (this.#holding.has(partition)) return;
          } else if (first === null || message.timestamp < first.message.timestamp) first = { partition, message };
        }
        if (first === null) return;
        heads.set(first.partition, (heads.get(first.partition) ?? 0) + 1);
        yield first.message;
      }
    } finally {
      for (const [partition, taken] of heads) this.#queues.get(partition)?.splice(0, taken);
    }
  }
}
