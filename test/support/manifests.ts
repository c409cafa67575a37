import { Ajv2020 } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { repositoryRoot } from './house-repository.ts';

const labels = z.record(z.string(), z.string());
const peer = z.object({
  ipBlock: z.object({ cidr: z.string() }).optional(),
  podSelector: z
    .object({ matchLabels: labels.optional(), matchExpressions: z.array(z.object({ values: z.array(z.string()) })).optional() })
    .optional(),
  namespaceSelector: z.object({ matchLabels: labels }).optional(),
});
const ports = z.array(z.object({ port: z.union([z.number(), z.string()]) })).default([]);
const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.union([z.number(), z.string()]) }) });

const container = z.object({
  image: z.string(),
  args: z.array(z.string()),
  env: z.array(z.object({ name: z.string(), value: z.string().optional() })).default([]),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).default([]),
  lifecycle: z.object({ preStop: z.object({ sleep: z.object({ seconds: z.number() }) }) }).optional(),
  startupProbe: probe.optional(),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  securityContext: z.unknown(),
});

const pod = z.object({
  enableServiceLinks: z.boolean(),
  automountServiceAccountToken: z.boolean(),
  terminationGracePeriodSeconds: z.number(),
  securityContext: z.unknown(),
  containers: z.array(container).length(1),
  volumes: z.array(
    z.object({
      name: z.string(),
      secret: z.object({ secretName: z.string(), items: z.array(z.object({ key: z.string(), path: z.string() })) }).optional(),
      configMap: z.object({ name: z.string() }).optional(),
    }),
  ),
});

const named = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.object({ name: z.string(), namespace: z.string().optional() }),
});
const workload = named.extend({
  kind: z.enum(['Deployment', 'Job']),
  spec: z.object({ replicas: z.number().optional(), template: z.object({ metadata: z.object({ labels }), spec: pod }) }),
});
const policy = named.extend({
  kind: z.literal('NetworkPolicy'),
  spec: z.object({
    podSelector: peer.shape.podSelector.unwrap(),
    policyTypes: z.array(z.enum(['Ingress', 'Egress'])),
    egress: z.array(z.object({ to: z.array(peer), ports })).default([]),
    ingress: z.array(z.object({ from: z.array(peer), ports })).default([]),
  }),
});
const configMap = named.extend({ kind: z.literal('ConfigMap'), data: labels });

export type Workload = z.output<typeof workload>;
type Policy = z.output<typeof policy>;

export type Manifests = {
  readonly workloads: readonly Workload[];
  readonly policies: readonly Policy[];
  /** By its name without the hash. */
  readonly files: ReadonlyMap<string, Readonly<Record<string, string>>>;
};

/** What the tests look at, of what kustomize has made. @throws ZodError when something is missing */
export function readManifests(resources: readonly unknown[]): Manifests {
  const ofKind = (kind: string): readonly unknown[] => resources.filter((one) => named.parse(one).kind === kind);
  return {
    workloads: [...ofKind('Deployment'), ...ofKind('Job')].map((one) => workload.parse(one)),
    policies: ofKind('NetworkPolicy').map((one) => policy.parse(one)),
    files: new Map(
      ofKind('ConfigMap').map((one) => {
        const { metadata, data } = configMap.parse(one);
        return [metadata.name.replace(/-[a-z0-9]{10}$/, ''), data];
      }),
    ),
  };
}

/** The schemas of kinds, as test/fixtures/kubernetes/vendor.py made them. */
const definitions = z
  .object({ $id: z.string(), $defs: z.record(z.string(), z.unknown()) })
  .parse(JSON.parse(readFileSync(join(repositoryRoot, 'test/fixtures/kubernetes/schemas.json'), 'utf8')));

const groups: Readonly<Record<string, string>> = {
  v1: 'core.v1',
  'apps/v1': 'apps.v1',
  'batch/v1': 'batch.v1',
  'networking.k8s.io/v1': 'networking.v1',
  'policy/v1': 'policy.v1',
};

// Formats are those of Go's numbers.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).addSchema(definitions);

/** What does not fit the schema of its kind, one sentence each; unknown fields too. KafkaConnector has none here. */
export function schemaProblems(resources: readonly unknown[]): readonly string[] {
  return resources.flatMap((resource) => {
    const { apiVersion, kind, metadata } = named.parse(resource);
    if (kind === 'KafkaConnector') return [];
    const name = `io.k8s.api.${groups[apiVersion] ?? apiVersion}.${kind}`;
    if (!(name in definitions.$defs)) return [`${kind} ${metadata.name}: no schema for ${apiVersion}`];
    const validate = ajv.compile({ $ref: `${definitions.$id}#/$defs/${name}` });
    if (validate(resource)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${kind} ${metadata.name}${instancePath}: ${message} ${JSON.stringify(params)}`,
    );
  });
}
