import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** What kafkajs itself exports from a module, of a second copy: that of this process may be replaced by ours. */
export function ownOf(id: string): unknown {
  const path = require.resolve(id);
  const replaced = require.cache[path];
  delete require.cache[path];
  const own: unknown = require(id);
  if (replaced !== undefined) require.cache[path] = replaced;
  return own;
}
