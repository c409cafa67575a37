import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { nodeFlags } from '#pipeline/index.ts';
import { partitionForKey } from '#kafka/write/murmur2.ts';
import { planRequests } from '#kafka/write/request-plan.ts';

/** Loads the poller and encodes as JSON; then asks a registry, which must show. Prints the packages of schemas that were loaded by then. */
const program = `
  import { registerHooks } from 'node:module';
  const loaded = [];
  registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
  const packages = () => [...new Set(loaded.map((url) => /node_modules\\/((?:@confluentinc\\/)?[^/]+)/.exec(url)?.[1]))].filter((name) => /avsc|confluentinc|ajv/.test(name));
  await import('#cdc-poller/index.ts');
  await import('#cdc-poller/commands.ts');
  const { encoderOf } = await import('#cdc-poller/encoding/table-format.ts');
  const { registeredFormat } = await import('#cdc-poller/schemas/registered-format.ts');
  const { postgres } = await import('#cdc-poller/postgres/dialect.ts');
  const { decodeKey, eventDecoder, openRegistry } = await import('#change-events/index.ts');
  const columns = [{ name: 'id', type: { name: 'int8', isArray: false, modifier: -1 } }];
  const event = { database: 'd', table: { schema: 'public', table: 't' }, prefix: 'p', columns, published: [{ column: 0, mask: null }], key: [0], timestamps: [], clock: null, encodeColumn: postgres.encodeColumn, keyText: postgres.keyText };
  const encoder = encoderOf(await registeredFormat({ format: 'json' }, null, { dialect: {} }, null, event, 't', AbortSignal.timeout(1000)), postgres, event);
  const message = { key: Buffer.from(encoder.wireKey(['1'], encoder.key(['1']))), value: Buffer.from(encoder.value(['1'], { op: 'u', txId: '1', publishedAt: 1 })) };
  const decoder = eventDecoder({ url: 'http://127.0.0.1:1', requestTimeoutMs: 1000 });
  await decoder.prepare([message], AbortSignal.timeout(1000));
  decoder.decodeChangeEvent(message.value, { topic: 't', partition: 0, offset: '0' });
  const json = packages();
  await openRegistry({ url: 'http://127.0.0.1:1', requestTimeoutMs: 1000 }).subjects().catch(() => undefined);
  console.log(JSON.stringify({ json, registry: packages() }));`;

test('JSON loads neither the registry client nor Avro; a registry that is asked loads its client', async () => {
  const cwd = join(import.meta.dirname, '../..');
  const { stdout } = await promisify(execFile)(process.execPath, [...nodeFlags, '--input-type=module-typescript', '--eval', program], {
    cwd,
  });
  const { json, registry }: { readonly json?: unknown; readonly registry?: unknown } = JSON.parse(stdout);
  assert.deepEqual(json, []);
  assert.ok(Array.isArray(registry) && registry.includes('@confluentinc/schemaregistry'), stdout);
});

test('a row keeps its partition whatever bytes its key has', () => {
  for (let id = 0; id < 50; id += 1) {
    const text = `{"id":${id}}`;
    for (const key of [text, Buffer.from([0, 0, 0, 0, 1, id]), Buffer.from([0, 0, 0, 0, 2, id])]) {
      const [request] = planRequests([{ key, partitionKey: text, value: 'v' }], 7);
      assert.equal(request?.[0]?.partition, partitionForKey(text, 7));
    }
  }
});
