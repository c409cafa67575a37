import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readConnectorFile } from '#connectors/index.ts';
import { renderStrimzi } from '#connectors/strimzi.ts';
import { describeError, loadConfig, type PipelineConfig } from '#pipeline/index.ts';
import { problemOfCommand } from '#test/support/cdc-command.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { kustomize, whyNoKustomize } from '#test/support/kustomize.ts';
import { readManifests, schemaProblems, type Manifests, type Workload } from '#test/support/manifests.ts';
import { graceMs } from '../../cli/endings.ts';

const read = (path: string): Promise<string> => readFile(join(repositoryRoot, path), 'utf8');

/** What the server of each program listens to, as its configuration or its command has it. */
const listens: Readonly<Record<string, (config: PipelineConfig, args: readonly string[]) => Readonly<Record<string, number | undefined>>>> =
  {
    poller: ({ poller }) => ({ http: poller?.http?.port }),
    guard: (_config, args) => ({ http: Number(args[args.indexOf('--metrics-port') + 1]) }),
    'read-model': ({ readModel }) => ({ http: readModel?.http?.port }),
    'query-api': ({ services }) => ({ http: services?.queryApi?.http.port, monitoring: services?.queryApi?.monitoring?.port }),
    'order-service': ({ services }) => ({ http: services?.orders?.http.port, monitoring: services?.orders?.monitoring?.port }),
    gateway: ({ services }) => ({ http: services?.gateway?.http.port, monitoring: services?.gateway?.monitoring.port }),
  };

type Known = {
  readonly image: string;
  /** The keys that the command of docs/kubernetes.md makes. */
  readonly secretKeys: ReadonlySet<string>;
};

/** All that does not fit, one sentence each, begun with the program's name. */
async function problemsOf({ workloads, files }: Manifests, known: Known): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'release-manifests-'));
  const text = files.get('cdc-pipeline')?.['pipeline.yaml'] ?? '';
  const referred = new Set([...text.matchAll(/\$\{(?<name>\w+)/g)].map(({ groups }) => groups?.['name'] ?? ''));
  const file = join(folder, 'pipeline.yaml');
  try {
    await writeFile(file, text);
    await writeFile(join(folder, 'secret'), 'a password');
    const perProgram = await Promise.all(
      workloads.map(async (workload) => {
        const { spec: pod, metadata } = workload.spec.template;
        const [container] = pod.containers;
        if (container === undefined) return ['no container'];
        const component = metadata.labels['app.kubernetes.io/component'] ?? '';
        const found: string[] = [];
        if (container.image !== known.image) found.push(`its image is ${container.image}`);
        const keys = pod.volumes.flatMap(({ secret }) => secret?.items ?? []);
        for (const { key } of keys) if (!known.secretKeys.has(key)) found.push(`the command that makes the Secret lacks ${key}`);
        for (const { name, value } of container.env) {
          const plain = name.replace(/_FILE$/, '');
          if (!referred.has(plain)) found.push(`pipeline.yaml does not refer to ${name}`);
          else if (name !== plain && !keys.some(({ path }) => value === `/run/secrets/cdc/${path}`))
            found.push(`${name} names no file of its Secret`);
        }
        for (const { path } of keys)
          if (!container.env.some(({ value }) => value === `/run/secrets/cdc/${path}`)) found.push(`no variable names its file ${path}`);
        const environment = Object.fromEntries(container.env.map(({ name }) => [name, join(folder, 'secret')]));
        const config = await loadConfig(file, environment).catch((error: unknown) => describeError(error));
        if (typeof config === 'string') return [...found, config];
        const command = await problemOfCommand(container.args, config);
        if (command !== null) found.push(`its command: ${command}`);
        return [...found, ...problemsOfPorts(workload, listens[component]?.(config, container.args) ?? {})];
      }),
    );
    return workloads.flatMap(({ metadata }, at) => (perProgram[at] ?? []).map((problem) => `${metadata.name}: ${problem}`));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function problemsOfPorts({ kind, spec }: Workload, expected: Readonly<Record<string, number | undefined>>): readonly string[] {
  if (kind === 'Job') return [];
  const [container] = spec.template.spec.containers;
  const ports = Object.fromEntries((container?.ports ?? []).map(({ name, containerPort }) => [name, containerPort]));
  const found = Object.entries({ ...ports, ...expected })
    .filter(([name]) => ports[name] !== expected[name])
    .map(([name]) => `its port ${name} is ${ports[name]}, and it listens at ${expected[name]}`);
  for (const [probe, path] of [
    ['startupProbe', '/livez'],
    ['livenessProbe', '/livez'],
    ['readinessProbe', '/readyz'],
  ] as const) {
    const asked = container?.[probe]?.httpGet;
    if (asked?.path !== path || asked.port !== 'http')
      found.push(`its ${probe} asks ${asked?.path} at ${asked?.port}, not ${path} at http`);
  }
  return found;
}

describe('deploy/kubernetes', { skip: whyNoKustomize }, () => {
  let resources: readonly unknown[];
  let known: Known;

  before(async () => {
    resources = await kustomize('overlays/example');
    const names = /create secret generic cdc .*\{(?<names>[\w,]+)\}/.exec(await read('docs/kubernetes.md'))?.groups?.['names'] ?? '';
    const compose = /CDC_IMAGE_APP:-(?<image>[^}]+)\}/.exec(await read('docker-compose.yml'))?.groups?.['image'];
    known = { image: `registry.example.com/${compose}`, secretKeys: new Set(names.split(',')) };
  });

  test('the resources fit the schemas of Kubernetes, the overlay with Strimzi too', async () => {
    assert.deepEqual(schemaProblems([...resources, ...(await kustomize('overlays/strimzi'))]), []);
  });

  test('commands, images, variables, passwords, ports and probes are those of the programs', async () => {
    const manifests = readManifests(resources);
    assert.deepEqual(manifests.workloads.map(({ metadata }) => metadata.name).toSorted(), [
      'gateway',
      'guard',
      'order-service',
      'poller',
      'query-api',
      'read-model',
      'read-model-migrate',
    ]);
    assert.deepEqual(await problemsOf(manifests, known), []);
  });

  for (const [what, change, pattern] of [
    ['a field that is misspelt', ['readOnlyRootFilesystem', 'readOnlyRootFileSystem'], /readOnlyRootFileSystem/],
    [
      'a number as text',
      ['"terminationGracePeriodSeconds":45', '"terminationGracePeriodSeconds":"45"'],
      /terminationGracePeriodSeconds: must be/,
    ],
  ] as const) {
    test(`found: ${what}`, () => {
      const broken: unknown = JSON.parse(JSON.stringify(resources).replaceAll(change[0], change[1]));
      assert.match(schemaProblems(Array.isArray(broken) ? broken : []).join('\n'), pattern);
    });
  }

  for (const [what, from, to, pattern] of [
    ['another probe', '"path":"/readyz"', '"path":"/ready"', /^poller: its readinessProbe asks \/ready at http/m],
    ['another port', '"containerPort":9466', '"containerPort":9464', /^read-model: its port http is 9464, and it listens at 9466/m],
    ['no such command', '["read-model","migrate"]', '["read-model","migrat"]', /^read-model-migrate: its command: .*unknown command/m],
    ['no such option', '"--metrics-host"', '"--metric-host"', /^guard: its command: .*unknown option/m],
    ['no such service', '"--only","gateway"', '"--only","gate"', /^gateway: its command: .*is invalid/m],
    [
      'a variable that nothing reads',
      '"READ_DB_PASSWORD_FILE"',
      '"READ_DB_PASSWD_FILE"',
      /^read-model: pipeline.yaml does not refer to READ_DB_PASSWD_FILE/m,
    ],
    [
      'a password that nobody makes',
      '"key":"CONNECT_PASSWORD"',
      '"key":"CONNECT_SECRET"',
      /^guard: the command that makes the Secret lacks CONNECT_SECRET/m,
    ],
    [
      'a file that the Secret does not have',
      '"path":"CONNECT_PASSWORD"',
      '"path":"PASSWORD"',
      /^guard: CONNECT_PASSWORD_FILE names no file of its Secret/m,
    ],
    ['another image', 'legacy-cdc-bridge:0.', 'legacy-cdc-bridge:1.', /^poller: its image is .*:1\./m],
    ['a pipeline.yaml that is not valid', 'topicPrefix: query', 'topicPrefixes: query', /^poller: .*topicPrefixes/m],
  ] as const) {
    test(`found: ${what}`, async () => {
      const text = JSON.stringify(resources);
      assert.ok(text.includes(from), `${from} is in the resources`);
      const broken: unknown = JSON.parse(text.replaceAll(from, to));
      assert.match((await problemsOf(readManifests(Array.isArray(broken) ? broken : []), known)).join('\n'), pattern);
    });
  }

  test('each pod runs without root, privileges and a token, gets no variables of Services, and has the time to end', () => {
    for (const { metadata, spec } of readManifests(resources).workloads) {
      const pod = spec.template.spec;
      const [container] = pod.containers;
      const is = { ...pod, container: container?.securityContext };
      assert.deepEqual(
        [is.enableServiceLinks, is.automountServiceAccountToken, is.securityContext, is.container],
        [
          false,
          false,
          { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } },
          { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        ],
        metadata.name,
      );
      const needsMs = (container?.lifecycle?.preStop.sleep.seconds ?? 0) * 1000 + graceMs;
      assert.ok(pod.terminationGracePeriodSeconds * 1000 > needsMs, `${metadata.name} needs ${needsMs} ms`);
    }
  });

  test('the connectors and projections of the example are this project’s, and its KafkaConnector what cdc renders', async () => {
    for (const file of ['connectors/legacy-orders.json', 'projections/order_view.sql'])
      assert.equal(await read(`deploy/kubernetes/overlays/example/${file}`), await read(file), file);
    const rendered = renderStrimzi([await readConnectorFile(join(repositoryRoot, 'connectors/legacy-orders.json'))], {
      cluster: 'my-connect',
      namespace: 'cdc',
    });
    assert.equal(await read('deploy/kubernetes/overlays/strimzi/kafka-connectors.yaml'), rendered);
  });
});
