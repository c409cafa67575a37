import { BaseRpcContext, Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import { consume, type Consumer, type ConsumeOptions, type NamedChange, type Tables, type Tx } from 'legacy-cdc-bridge/sdk';
import { lastValueFrom } from 'rxjs';

/** What a handler gets beside its change: `@Ctx() context: CdcContext`. */
export class CdcContext extends BaseRpcContext<[Tx, AbortSignal]> {
  /** The transaction that also moves the position. Write with it, and await every query. */
  get tx(): Tx {
    return this.args[0];
  }
  /** Aborted when the handler is not waited for any more. */
  get signal(): AbortSignal {
    return this.args[1];
  }
}

/**
 * Changes of the legacy database as a transport of Nest: `@EventPattern('orders')` on a controller's method gets each change of `topics.orders`.
 * The changes of a batch are handled one after the other, in one transaction with the position.
 */
export class CdcStrategy<T extends Tables> extends Server implements CustomTransportStrategy {
  consumer: Consumer | null = null;

  constructor(private readonly options: Omit<ConsumeOptions<T>, 'handle' | 'signal'>) {
    super();
  }

  async listen(ready: (error?: unknown) => void): Promise<void> {
    try {
      const missing = Object.keys(this.options.topics).find((name) => this.getHandlerByPattern(name) === null);
      if (missing !== undefined) throw new Error(`no method has @EventPattern('${missing}')`);
      this.consumer = await consume<T>({
        ...this.options,
        handle: async (changes, tx, { signal }) => {
          for (const change of changes) await this.dispatch(change, new CdcContext([tx, signal]));
        },
      });
      // A consumer that has ended for good does not come back: whoever started the process starts it again.
      this.consumer.finished.catch((error: unknown) => {
        this.logger.error(error);
        process.exitCode = 1;
        process.kill(process.pid, 'SIGTERM');
      });
      ready();
    } catch (error) {
      ready(error);
    }
  }

  async close(): Promise<void> {
    await this.consumer?.[Symbol.asyncDispose]();
  }

  on(): never {
    throw new Error('this transport has no events of its own');
  }

  unwrap<Unwrapped>(): Unwrapped {
    return this.consumer as Unwrapped;
  }

  private async dispatch(change: NamedChange<T>, context: CdcContext): Promise<void> {
    for (
      let handler: MessageHandler | null | undefined = this.getHandlerByPattern(String(change.name));
      handler;
      handler = handler.next as MessageHandler
    ) {
      const result = this.transformToObservable(await handler(change, context));
      await lastValueFrom(result, { defaultValue: undefined });
    }
  }
}
