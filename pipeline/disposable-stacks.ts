/**
 * What Node 22 lacks of the language and the package uses: its stacks of what is to be disposed (24 has them). Every entry that uses them adds them first.
 */

/** The language's own `await using` ends them: the last first, all of them, with the errors of each. */
async function endAll(ends: readonly (() => PromiseLike<void> | void)[], from = 0): Promise<void> {
  const end = ends[from];
  if (end === undefined) return;
  await using _ = { [Symbol.asyncDispose]: async () => await end() };
  await endAll(ends, from + 1);
}

function endAllNow(ends: readonly (() => void)[], from = 0): void {
  const end = ends[from];
  if (end === undefined) return;
  using _ = { [Symbol.dispose]: end };
  endAllNow(ends, from + 1);
}

/** As the language's own. */
export class AsyncStack implements AsyncDisposableStack {
  #ends: (() => PromiseLike<void> | void)[] = [];
  #disposed = false;
  readonly [Symbol.toStringTag] = 'AsyncDisposableStack';

  get disposed(): boolean {
    return this.#disposed;
  }

  use<T extends AsyncDisposable | Disposable | null | undefined>(value: T): T {
    if (value === null || value === undefined) return value;
    this.defer(() => (Symbol.asyncDispose in value ? value[Symbol.asyncDispose]() : value[Symbol.dispose]()));
    return value;
  }

  adopt<T>(value: T, onDisposeAsync: (value: T) => PromiseLike<void> | void): T {
    this.defer(() => onDisposeAsync(value));
    return value;
  }

  defer(onDisposeAsync: () => PromiseLike<void> | void): void {
    if (this.#disposed) throw new ReferenceError('The stack is disposed already.');
    this.#ends.push(onDisposeAsync);
  }

  move(): AsyncDisposableStack {
    const moved = new AsyncStack();
    for (const end of this.#take()) moved.defer(end);
    return moved;
  }

  async disposeAsync(): Promise<void> {
    if (!this.#disposed) await endAll(this.#take());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disposeAsync();
  }

  #take(): readonly (() => PromiseLike<void> | void)[] {
    if (this.#disposed) throw new ReferenceError('The stack is disposed already.');
    this.#disposed = true;
    return this.#ends.splice(0);
  }
}

/** As the language's own. */
export class SyncStack implements DisposableStack {
  #ends: (() => void)[] = [];
  #disposed = false;
  readonly [Symbol.toStringTag] = 'DisposableStack';

  get disposed(): boolean {
    return this.#disposed;
  }

  use<T extends Disposable | null | undefined>(value: T): T {
    if (value !== null && value !== undefined) this.defer(() => value[Symbol.dispose]());
    return value;
  }

  adopt<T>(value: T, onDispose: (value: T) => void): T {
    this.defer(() => onDispose(value));
    return value;
  }

  defer(onDispose: () => void): void {
    if (this.#disposed) throw new ReferenceError('The stack is disposed already.');
    this.#ends.push(onDispose);
  }

  move(): DisposableStack {
    const moved = new SyncStack();
    for (const end of this.#take()) moved.defer(end);
    return moved;
  }

  dispose(): void {
    if (!this.#disposed) endAllNow(this.#take());
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #take(): readonly (() => void)[] {
    if (this.#disposed) throw new ReferenceError('The stack is disposed already.');
    this.#disposed = true;
    return this.#ends.splice(0);
  }
}

/** Adds the stacks where the language has none. Harmless to repeat. */
export function addDisposableStacks(): void {
  for (const [name, value] of Object.entries({ AsyncDisposableStack: AsyncStack, DisposableStack: SyncStack })) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  }
}
