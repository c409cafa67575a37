import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { kustomize, whyNoKustomize } from '#test/support/kustomize.ts';
import { readManifests, type Manifests } from '#test/support/manifests.ts';

/** Who may speak to whom: for each that is spoken to, those who speak, sorted. */
type Allowed = Readonly<Record<string, readonly string[]>>;

/** Of servers outside, the policy that leads to them. */
const servers: Readonly<Record<string, string>> = {
  'to-legacy-db': 'legacy database',
  'to-read-db': 'read database',
  'to-kafka': 'Kafka',
  'to-connect': 'Connect',
  'to-login': 'OpenID provider',
  'to-dns': 'DNS of the cluster',
};
/** As docs/kubernetes.md calls them, where that is not their component. */
const called: Readonly<Record<string, string>> = {
  'read-model': 'read model',
  'read-model-migrate': 'migration',
  'query-api': 'query API',
  'order-service': 'order service',
};

type Selector = {
  readonly matchLabels?: Readonly<Record<string, string>> | undefined;
  readonly matchExpressions?: readonly { readonly values: readonly string[] }[] | undefined;
};

/** `all` for every pod of the application. */
function selected({ matchLabels, matchExpressions }: Selector): readonly string[] {
  const one = matchLabels?.['app.kubernetes.io/component'];
  const some = one === undefined ? matchExpressions?.flatMap(({ values }) => values) : [one];
  return (some ?? ['all']).map((component) => called[component] ?? component);
}

function add(map: Map<string, Set<string>>, target: string, sources: readonly string[]): void {
  map.set(target, new Set([...(map.get(target) ?? []), ...sources]));
}

/** What the policies allow. Between two pods, both sides must. */
function allowedBy({ policies }: Manifests): Allowed {
  const out = new Map<string, Set<string>>();
  const into = new Map<string, Set<string>>();
  for (const { metadata, spec } of policies) {
    const own = selected(spec.podSelector);
    for (const { to } of spec.egress)
      for (const { podSelector, namespaceSelector, ipBlock } of to) {
        const outside = ipBlock !== undefined || namespaceSelector !== undefined;
        for (const target of outside ? [servers[metadata.name] ?? metadata.name] : selected(podSelector ?? {})) add(out, target, own);
      }
    for (const { from, ports } of spec.ingress)
      for (const { podSelector, namespaceSelector } of from) {
        const space = namespaceSelector?.matchLabels['kubernetes.io/metadata.name'];
        const isMetrics = space === 'monitoring';
        for (const target of own)
          add(into, isMetrics ? 'metrics of all' : target, space === undefined ? selected(podSelector ?? {}) : [`the namespace ${space}`]);
        if (isMetrics)
          for (const { port } of ports) assert.ok(port === (own.includes('gateway') ? 'monitoring' : 'http'), `${metadata.name} ${port}`);
      }
  }
  const both = new Map([...out, ...into]);
  for (const [target, sources] of into) {
    const senders = out.get(target);
    if (senders !== undefined) both.set(target, new Set([...sources].filter((source) => senders.has(source))));
  }
  return Object.fromEntries([...both].map(([target, sources]) => [target, [...sources].toSorted()]));
}

/** The table of docs/kubernetes.md. */
async function documented(): Promise<Allowed> {
  const text = await readFile(join(repositoryRoot, 'docs/kubernetes.md'), 'utf8');
  const [, section = ''] = text.split('## Who may speak to whom');
  const rows = [...section.matchAll(/^\| (?<to>[^|]+) \| (?<from>[^|]+) \|$/gm)].map(
    ({ groups }) => [groups?.['to'] ?? '', groups?.['from'] ?? ''] as const,
  );
  return Object.fromEntries(
    rows
      .filter(([to]) => to !== 'to')
      .map(([to, from]) => [
        to,
        from
          .split(', ')
          .map((name) => name.replaceAll('`', ''))
          .toSorted(),
      ]),
  );
}

async function addresses(folder: string): Promise<readonly string[]> {
  return readManifests(await kustomize(folder)).policies.flatMap(({ spec }) =>
    spec.egress.flatMap(({ to }) => to.flatMap(({ ipBlock }) => ipBlock?.cidr ?? [])),
  );
}

describe('network policies of deploy/kubernetes', { skip: whyNoKustomize }, () => {
  test('let those speak whom docs/kubernetes.md names, and forbid the rest', async () => {
    const manifests = readManifests(await kustomize('overlays/example'));
    assert.deepEqual(allowedBy(manifests), await documented());
    const rest = manifests.policies.find(({ metadata }) => metadata.name === 'nothing-else');
    assert.deepEqual(rest?.spec, {
      podSelector: { matchLabels: { 'app.kubernetes.io/part-of': 'legacy-cdc-bridge' } },
      policyTypes: ['Ingress', 'Egress'],
      egress: [],
      ingress: [],
    });
  });

  test('the addresses of base lead nowhere, and the overlay has its own for each server', async () => {
    assert.ok((await addresses('base')).every((cidr) => cidr.startsWith('192.0.2.')));
    const own = await addresses('overlays/example');
    assert.equal(own.length, 5);
    assert.ok(
      own.every((cidr) => cidr.startsWith('10.')),
      own.join(' '),
    );
  });
});
