import assert from 'node:assert/strict';
import { openRegistry, type Registry } from '#change-events/index.ts';
import { pipelineSchema, type SchemaRegistryConfig } from '#pipeline/index.ts';
import { createMuteProxy, type MuteProxy } from './mute-proxy.ts';
import { testStack } from './stack.ts';

/**
 * The shared stack's registry as configuration. CDC_TEST_REGISTRY='{"url":…}' (as schemaRegistry in pipeline.yaml) runs the same tests with
 * another one.
 */
export async function testRegistryConfig(more: Readonly<Record<string, unknown>> = {}): Promise<SchemaRegistryConfig> {
  const other = process.env['CDC_TEST_REGISTRY'];
  const registry: object | undefined = other === undefined ? (await testStack()).schemaRegistry : JSON.parse(other);
  assert.ok(registry, 'the stack runs without a schema registry (cdc stack up --with schema-registry)');
  return pipelineSchema.shape.schemaRegistry.unwrap().parse({ ...registry, ...more });
}

export async function testRegistry(): Promise<Registry> {
  return openRegistry(await testRegistryConfig());
}

/** A way to the registry that can be cut. Requests over it are given up soon. */
export async function registryProxy(): Promise<MuteProxy & { readonly schemaRegistry: SchemaRegistryConfig }> {
  const { url: direct } = await testRegistryConfig();
  const url = new URL(direct);
  const way = await createMuteProxy({ host: url.hostname, port: Number(url.port) });
  url.port = String(way.port);
  return { ...way, schemaRegistry: await testRegistryConfig({ url: url.href, requestTimeoutMs: 500 }) };
}

/** Asks a registry in its own words, past our client. Fails on any answer but 200. */
export async function askRegistry(
  url: string | undefined,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body?: unknown,
): Promise<Readonly<Record<string, unknown>>> {
  assert.ok(url, 'the stack has no schema registry (cdc stack up --with schema-registry)');
  const response = await fetch(`${url}/${path}`, {
    method,
    signal: AbortSignal.timeout(10_000),
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, `${method} ${path}: ${text}`);
  const answer: unknown = JSON.parse(text);
  assert.ok(isRecord(answer), text);
  return answer;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
