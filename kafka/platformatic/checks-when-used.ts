import { createRequire } from 'node:module';

type Check = ((data: unknown) => unknown) & { errors?: unknown };
type Compile = (this: unknown, ...schema: readonly unknown[]) => Check;

/**
 * Imports @platformatic/kafka, by way of `load`, so that the checks of its options are compiled when they are used. It has ajv compile 38 of them as it
 * is imported, which takes half of its import's CPU, and a client of ours uses a few. Ajv is itself again when this returns. One that is built
 * otherwise than ajv 8 compiles them at once, as ever.
 */
export async function withChecksWhenUsed<T>(load: () => Promise<T>): Promise<T> {
  const prototype = ajvPrototype();
  const compile: unknown = prototype === null ? null : Reflect.get(prototype, 'compile');
  if (prototype === null || !isCompile(compile)) return await load();
  Reflect.set(prototype, 'compile', function whenUsed(this: unknown, ...schema: readonly unknown[]): Check {
    return compiledWhenUsed(() => Reflect.apply(compile, this, schema));
  });
  try {
    return await load();
  } finally {
    Reflect.set(prototype, 'compile', compile);
  }
}

/** Answers as the check that `make` makes, and has its errors. */
function compiledWhenUsed(make: () => Check): Check {
  let made: Check | null = null;
  const check: Check = (data) => (made ??= make())(data);
  Object.defineProperty(check, 'errors', { get: () => made?.errors });
  return check;
}

/** Of the ajv that @platformatic/kafka imports. */
function ajvPrototype(): object | null {
  const require = createRequire(import.meta.resolve('@platformatic/kafka'));
  // The class itself is what the module exports.
  const made: unknown = require('ajv/dist/2020');
  for (
    let at: unknown = typeof made === 'function' ? made.prototype : null;
    typeof at === 'object' && at !== null;
    at = Object.getPrototypeOf(at)
  )
    if (Object.hasOwn(at, 'compile')) return at;
  return null;
}

function isCompile(value: unknown): value is Compile {
  return typeof value === 'function';
}
