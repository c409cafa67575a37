import assert from 'node:assert/strict';

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
