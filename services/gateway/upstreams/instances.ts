import type { UpstreamConfig } from '#pipeline/index.ts';

/** One instance of a service, as this gateway has seen it. */
export type Instance = {
  /** Scheme, host and port. */
  readonly url: string;
  /** Requests that are open, live streams included. */
  pending: number;
  /** Failures in a row, of checks and of requests. */
  failures: number;
  /** Taken out: requests go to others. */
  ejected: boolean;
  /** Why it was taken out, or what failed last. */
  reason: string | null;
};

type Rules = Pick<UpstreamConfig, 'balance' | 'pendingMost'> & { readonly failures: number };

/** The instances of one service: which of them takes the next request, and which are taken out. Does no I/O. */
export type Instances = {
  readonly all: readonly Instance[];
  /** Those that are there now. An instance that was known keeps what is known of it; one that is gone gets no more requests. */
  replace(urls: readonly string[]): void;
  /** For the next try of a request. Null: none is left, or each has as many requests as it may. */
  choose(tried: ReadonlySet<Instance>): Instance | null;
  /** An answer, of whatever status: it can be reached. Brings nothing back: that takes a good check. */
  answered(instance: Instance): void;
  /** A good check. True: it is back. */
  passed(instance: Instance): boolean;
  /** A bad check or request. `decisive`: one is enough. True: it is taken out by this. */
  failed(instance: Instance, reason: string, decisive: boolean): boolean;
};

export function createInstances({ balance, pendingMost, failures: most }: Rules): Instances {
  let all: readonly Instance[] = [];
  let turn = 0;
  return {
    get all() {
      return all;
    },
    replace(urls) {
      const known = new Map(all.map((instance) => [instance.url, instance]));
      all = [...new Set(urls)].map((url) => known.get(url) ?? { url, pending: 0, failures: 0, ejected: false, reason: null });
    },
    choose(tried) {
      // Where all are out, the checks may be wrong, and what an instance says of itself is better than what we could say.
      const allOut = all.every(({ ejected }) => ejected);
      const able = all.filter((instance) => !tried.has(instance) && (allOut || !instance.ejected) && instance.pending < pendingMost);
      if (able.length === 0) return null;
      turn = (turn + 1) % Number.MAX_SAFE_INTEGER;
      // From another one each time, so that equals share.
      const from = turn % able.length;
      const order = [...able.slice(from), ...able.slice(0, from)];
      if (balance === 'round-robin') return order[0] ?? null;
      return order.reduce((least, instance) => (instance.pending < least.pending ? instance : least));
    },
    answered(instance) {
      if (!instance.ejected) instance.failures = 0;
    },
    passed(instance) {
      const isBack = instance.ejected;
      Object.assign(instance, { failures: 0, ejected: false, reason: null });
      return isBack;
    },
    failed(instance, reason, decisive) {
      instance.failures += 1;
      instance.reason = reason;
      if (instance.ejected || (!decisive && instance.failures < most)) return false;
      instance.ejected = true;
      return true;
    },
  };
}
