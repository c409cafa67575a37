import { stringify } from 'yaml';
import type { ConnectorFile } from './config-file.ts';

export type StrimziOptions = {
  /** Name of the KafkaConnect resource that shall run the connectors. */
  readonly cluster: string;
  readonly namespace?: string | undefined;
};

/** Set by fields of their own in the resource; the operator refuses them inside config. */
const ownFields = new Set(['name', 'connector.class', 'tasks.max']);

/**
 * The same connectors as KafkaConnector resources of the Strimzi operator, one YAML document each; pure. References (`${env:NAME}`) stay
 * as they are: the Connect image's workers resolve them, given the EnvVarConfigProvider and the variables.
 */
export function renderStrimzi(files: readonly ConnectorFile[], { cluster, namespace }: StrimziOptions): string {
  return files.map((file) => `---\n${stringify(resource(file, cluster, namespace), { lineWidth: 0 })}`).join('');
}

function resource({ name, config }: ConnectorFile, cluster: string, namespace: string | undefined): unknown {
  return {
    apiVersion: 'kafka.strimzi.io/v1beta2',
    kind: 'KafkaConnector',
    metadata: {
      name: resourceName(name),
      ...(namespace === undefined ? {} : { namespace }),
      labels: { 'strimzi.io/cluster': cluster },
    },
    spec: {
      class: config['connector.class'],
      tasksMax: Number(config['tasks.max'] ?? '1'),
      config: Object.fromEntries(Object.entries(config).filter(([key]) => !ownFields.has(key))),
    },
  };
}

/** Kubernetes takes lower-case letters, digits, dashes and dots. */
function resourceName(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, '-')
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
}
