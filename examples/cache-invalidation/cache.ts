/**
 * A cache in Redis that changes of a table keep. An entry carries the place of the change that wrote it, in the log: so an older change that comes again
 * never overwrites a newer one. What was deleted leaves its place behind for a day, so that an older change does not bring it back.
 */
import { randomUUID } from 'node:crypto';
import { createClient } from 'redis';

/** Where a change is in the log. Changes of one key are in one partition. */
export type Place = { readonly partition: number; readonly offset: bigint };

/** Redis has lost its data, or somebody has emptied it: the cache must be filled again from the log. */
export class ColdCacheError extends Error {
  override readonly name = 'ColdCacheError';
}

export type Cache = AsyncDisposable & {
  /** Names what Redis holds now: another one after it was emptied. All instances that share the Redis have the same one. */
  generation(): Promise<string>;
  /**
   * Keeps an entry as it is after a change; null removes it. Harmless to repeat.
   *
   * @returns false when the entry is from a change as late as this one, or later
   * @throws ColdCacheError when Redis is of another generation
   */
  put(generation: string, key: string, value: string | null, place: Place): Promise<boolean>;
  /** Null where nothing is cached: then ask who owns the data. */
  get(key: string): Promise<string | null>;
};

const generationKey = 'cache:generation';
/** In seconds; longer than a change may come again. */
const deletedFor = 24 * 3600;

/** One step for Redis: nobody else's command comes in between. Offsets are exact as Lua's numbers up to 2^53. */
const putScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local known = redis.call('HMGET', KEYS[2], 'partition', 'offset')
if known[1] == ARGV[2] and tonumber(known[2]) >= tonumber(ARGV[3]) then return 0 end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'partition', ARGV[2], 'offset', ARGV[3])
if ARGV[4] == 'deleted' then redis.call('EXPIRE', KEYS[2], ARGV[6])
else redis.call('HSET', KEYS[2], 'value', ARGV[5]) end
return 1`;

/** Connects, and connects again whenever the connection is lost; meanwhile every call fails at once. @throws when Redis does not answer at first */
export async function openCache(url: string): Promise<Cache> {
  const client = createClient({ url, disableOfflineQueue: true, commandOptions: { timeout: 5000 } });
  client.on('error', () => undefined);
  await client.connect();
  return {
    async generation() {
      await client.set(generationKey, randomUUID().replaceAll('-', ''), { condition: 'NX' });
      const generation = await client.get(generationKey);
      if (generation === null) throw new ColdCacheError('Redis was emptied just now');
      return generation;
    },
    async put(generation, key, value, { partition, offset }) {
      const written = await client.eval(putScript, {
        keys: [generationKey, key],
        arguments: [generation, String(partition), String(offset), value === null ? 'deleted' : 'kept', value ?? '', String(deletedFor)],
      });
      if (written === -1) throw new ColdCacheError('Redis does not hold any more what was cached');
      return written === 1;
    },
    get: (key) => client.hGet(key, 'value'),
    async [Symbol.asyncDispose]() {
      // A connection that is lost already cannot be closed in order.
      if (client.isReady) await client.close();
      else client.destroy();
    },
  };
}
