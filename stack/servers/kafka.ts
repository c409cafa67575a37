import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CdcError } from '#pipeline/index.ts';
import { javaFlags, propertiesFile, serverEnvironment, type JvmMode } from './java/java.ts';
import { aliveBrokers } from './java/kafka-ping.ts';
import { exists } from '../state/file.ts';
import { relevantLines } from '../processes/log-excerpt.ts';
import { runProgram } from '../processes/run-program.ts';
import { host } from '../roles-and-variables.ts';
import type { ServerSpec } from '../processes/server-process.ts';
import { waitFor } from '../wait-for.ts';

export type KafkaOptions = {
  readonly name: string;
  readonly port: number;
  readonly controllerPort: number;
  /** This node's id in the cluster, from 1. */
  readonly nodeId: number;
  /** The controller port of every node, in the order of their ids. */
  readonly controllerPorts: readonly number[];
  /** Configuration and data. */
  readonly folder: string;
  readonly clusterId: string;
  readonly jvm: JvmMode;
  /** The program `java`, and the folder of Kafka's jars. */
  readonly runtime: (signal: AbortSignal) => Promise<{ readonly java: string; readonly jars: string }>;
};

/**
 * One Kafka node, broker and controller in one (KRaft), on the loopback. Topics are made explicitly only. In a cluster of three every
 * partition has three replicas, and a write counts when two have it.
 */
export function kafkaServer(options: KafkaOptions): ServerSpec {
  return {
    name: options.name,
    address: `${host}:${options.port}`,
    launch: async (signal) => {
      const { java, jars } = await options.runtime(signal);
      const data = join(options.folder, 'data');
      const config = join(options.folder, 'server.properties');
      await mkdir(options.folder, { recursive: true, mode: 0o700 });
      await writeFile(config, propertiesFile(serverProperties(options, data)));
      const classpath = ['-cp', join(jars, '*')];
      const env = serverEnvironment();
      await format([...javaFlags('256m'), ...classpath], { java, data, config, clusterId: options.clusterId, env, signal });
      return { command: java, args: [...javaFlags('1g', options.jvm), ...classpath, 'kafka.Kafka', config], cwd: options.folder, env };
    },
    ready: async (signal) => (await aliveBrokers(host, options.port, signal)) > 0,
    ...(options.controllerPorts.length === 1 ? {} : { configure: (signal: AbortSignal) => untilAllAreAlive(options, signal) }),
    stopSignal: 'SIGTERM',
    startLimitMs: 120_000,
    stopLimitMs: 60_000,
  };
}

/** A topic with three replicas can be made only where three brokers live. */
async function untilAllAreAlive({ name, port, controllerPorts }: KafkaOptions, signal: AbortSignal): Promise<void> {
  const all = controllerPorts.length;
  await waitFor(async () => (await aliveBrokers(host, port, signal)) >= all, {
    signal,
    timeoutMs: 60_000,
    describe: `${name} sees ${all} brokers`,
  });
}

type Format = {
  readonly java: string;
  readonly data: string;
  readonly config: string;
  readonly clusterId: string;
  readonly env: Record<string, string>;
  readonly signal: AbortSignal;
};

async function format(flags: readonly string[], { java, data, config, clusterId, env, signal }: Format): Promise<void> {
  if (await exists(join(data, 'meta.properties'))) return;
  const { code, lines } = await runProgram(java, [...flags, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', config], {
    env,
    signal,
  });
  if (code === 0) return;
  throw new CdcError('STACK_START_FAILED', `Kafka's storage in ${data} could not be formatted:\n${relevantLines(lines).join('\n')}`);
}

function serverProperties({ port, controllerPort, nodeId, controllerPorts }: KafkaOptions, data: string): Record<string, string> {
  const replicas = String(controllerPorts.length);
  const inSync = controllerPorts.length >= 3 ? '2' : '1';
  return {
    'process.roles': 'broker,controller',
    'node.id': String(nodeId),
    // Voters by address, not kept in the log: the port may differ from run to run.
    'controller.quorum.voters': controllerPorts.map((voter, index) => `${index + 1}@${host}:${voter}`).join(','),
    listeners: `PLAINTEXT://${host}:${port},CONTROLLER://${host}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${host}:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': data,
    'auto.create.topics.enable': 'false',
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '5',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': '5',
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': '0',
    // Of nodes that stop together the last ones find no controller any more, and would wait for it.
    ...(controllerPorts.length > 1 ? { 'controlled.shutdown.enable': 'false' } : {}),
    // The default is an eighth of the heap.
    'log.cleaner.dedupe.buffer.size': String(16 * 1024 * 1024),
  };
}
