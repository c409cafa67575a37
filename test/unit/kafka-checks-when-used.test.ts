import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { withChecksWhenUsed } from '#kafka/platformatic/checks-when-used.ts';

/** Where ajv has its `compile`. */
function ownerOfCompile(): object {
  for (let at: unknown = Ajv2020.prototype; typeof at === 'object' && at !== null; at = Object.getPrototypeOf(at))
    if (Object.hasOwn(at, 'compile')) return at;
  throw new TypeError('ajv compiles elsewhere');
}

test('the checks of @platformatic/kafka are compiled when they are used, and find what they found', async () => {
  const owner = ownerOfCompile();
  const compile: unknown = Reflect.get(owner, 'compile');
  assert.ok(typeof compile === 'function');
  let compiled = 0;
  const counting = function counting(this: unknown, ...schema: readonly unknown[]): unknown {
    compiled += 1;
    return Reflect.apply(compile, this, schema);
  };
  Reflect.set(owner, 'compile', counting);
  const { Base } = await withChecksWhenUsed(() => import('@platformatic/kafka'));
  assert.equal(compiled, 0);
  assert.equal(Reflect.get(owner, 'compile'), counting, 'ajv is itself again');
  const options = { clientId: 'unit', bootstrapBrokers: ['127.0.0.1:1'] };
  const client = new Base({ ...options, strict: true });
  await client.close();
  const first = compiled;
  assert.ok(first > 0);
  assert.throws(() => new Base({ ...options, retries: -1, strict: true }), /retries/);
  assert.equal(compiled, first, 'each is compiled once');
});
