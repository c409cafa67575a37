import { builtOtherwise, internal } from './internals.ts';

/** What a connection's queue of requests has, as far as it is needed here. */
type Queue = {
  readonly pending: readonly unknown[];
  readonly inflight: ReadonlyMap<unknown, { readonly sentAt: number; readonly requestTimeout: number; timeoutRequest(): void }>;
  readonly requestTimeout: number;
  readonly enforceRequestTimeout: boolean;
  requestTimeoutIntervalId: NodeJS.Timeout | null;
  isConnected(): boolean;
  destroy(): void;
};

/** A request counts as unanswered after its time and this part of it at most. */
const lookOften = 30;

/**
 * A connection of kafkajs looks at its queue of requests every millisecond, for as long as it lives, whether there is a request or not: the time until
 * the broker lets it send again is negative when it may send now, and Node takes that for one millisecond. A process with a thousand connections does
 * nothing else. From now on it looks only while requests wait in the queue; whatever is sent at once never waited for a look.
 *
 * It also looks for unanswered requests ten times a second; a thirtieth of their time is often enough.
 *
 * @throws Error when kafkajs is built otherwise
 */
export function patchRequestQueue(): void {
  const queue = internal('src/network/requestQueue');
  const prototype: unknown = typeof queue === 'function' ? queue.prototype : undefined;
  if (typeof prototype !== 'object' || prototype === null) throw builtOtherwise('queues');
  const schedule: unknown = Reflect.get(prototype, 'scheduleCheckPendingRequests');
  if (typeof schedule !== 'function' || typeof Reflect.get(prototype, 'scheduleRequestTimeoutCheck') !== 'function')
    throw builtOtherwise('queues');
  Reflect.set(prototype, 'scheduleCheckPendingRequests', function whilePending(this: unknown): void {
    if (!isQueue(this)) throw builtOtherwise('queues');
    if (this.pending.length > 0) Reflect.apply(schedule, this, []);
  });
  Reflect.set(prototype, 'scheduleRequestTimeoutCheck', function lessOften(this: unknown): void {
    if (!isQueue(this)) throw builtOtherwise('queues');
    if (!this.enforceRequestTimeout) return;
    this.destroy();
    const look = (): void => {
      for (const request of this.inflight.values()) if (Date.now() - request.sentAt > request.requestTimeout) request.timeoutRequest();
      if (!this.isConnected()) this.destroy();
    };
    this.requestTimeoutIntervalId = setInterval(look, Math.min(this.requestTimeout, Math.max(100, this.requestTimeout / lookOften)));
  });
}

const needed = ['pending', 'inflight', 'requestTimeout', 'enforceRequestTimeout', 'isConnected', 'destroy'] as const;

function isQueue(value: unknown): value is Queue {
  return typeof value === 'object' && value !== null && needed.every((name) => name in value);
}
