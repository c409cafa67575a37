import { Resolver } from 'node:dns/promises';
import { describeError, pause, type Logger, type UpstreamConfig } from '#pipeline/index.ts';

type Dns = NonNullable<UpstreamConfig['dns']>;

export type DiscoveryOptions = {
  readonly upstream: Pick<UpstreamConfig, 'urls' | 'dns'>;
  readonly onInstances: (urls: readonly string[]) => void;
  readonly logger: Logger;
  /** Ends it. */
  readonly signal: AbortSignal;
};

/** The server says that there is nothing of this name. Anything else says nothing. */
const nothingThere: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);
const shortestMs = 1000;

/**
 * Where the instances of a service are: as configured, or asked for by DNS, again and again. While the DNS server gives no answer, those that were found last
 * stay. Resolves when they are known for the first time, or when the first question has failed; never rejects.
 */
export async function followInstances({ upstream: { urls, dns }, onInstances, logger, signal }: DiscoveryOptions): Promise<void> {
  if (dns === undefined) return onInstances((urls ?? []).map((url) => new URL(url).origin));
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  if (dns.servers.length > 0) resolver.setServers(dns.servers);
  signal.addEventListener('abort', () => resolver.cancel(), { once: true });
  let shown = '';
  const look = async (): Promise<number> => {
    try {
      const { urls: found, ttlMs } = await lookUp(resolver, dns);
      const now = found.toSorted().join(' ');
      if (now !== shown) logger.info({ name: dns.name, instances: found }, 'the instances of a service are other ones');
      shown = now;
      onInstances(found);
      return Math.min(dns.refreshMs, Math.max(ttlMs, Math.min(shortestMs, dns.refreshMs)));
    } catch (error) {
      if (!signal.aborted)
        logger.warn({ name: dns.name, reason: describeError(error) }, 'DNS gives no answer: the instances that are known stay');
      return Math.min(dns.refreshMs, shortestMs);
    }
  };
  const follow = async (first: number): Promise<void> => {
    for (let wait = first; ; wait = await look()) {
      await pause(wait, signal);
      if (signal.aborted) return;
    }
  };
  void follow(await look());
}

type Found = { readonly urls: readonly string[]; /** How long it may be believed. */ readonly ttlMs: number };

async function lookUp(resolver: Resolver, { name, type, port = 0, scheme }: Dns): Promise<Found> {
  if (type === 'address') {
    const { addresses, ttlMs } = await addressesOf(resolver, name);
    return { urls: addresses.map((address) => urlOf(scheme, address, port)), ttlMs };
  }
  // Their TTL is not in Node's answer.
  const records = await resolver.resolveSrv(name).catch(emptyIfNothing);
  const first = Math.min(...records.map(({ priority }) => priority));
  const targets = records
    .filter(({ priority }) => priority === first)
    .map(async (target) => (await addressesOf(resolver, target.name)).addresses.map((address) => urlOf(scheme, address, target.port)));
  return { urls: (await Promise.all(targets)).flat(), ttlMs: Number.POSITIVE_INFINITY };
}

async function addressesOf(resolver: Resolver, name: string): Promise<{ readonly addresses: readonly string[]; readonly ttlMs: number }> {
  const answers = await Promise.allSettled([
    resolver.resolve4(name, { ttl: true }).catch(emptyIfNothing),
    resolver.resolve6(name, { ttl: true }).catch(emptyIfNothing),
  ]);
  const records = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const failed = answers.find((answer) => answer.status === 'rejected');
  if (records.length === 0 && failed !== undefined) throw failed.reason;
  return { addresses: records.map(({ address }) => address), ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1000 };
}

function emptyIfNothing(error: unknown): [] {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && nothingThere.has(error.code)) return [];
  throw error;
}

function urlOf(scheme: Dns['scheme'], address: string, port: number): string {
  return new URL(`${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}`).origin;
}
