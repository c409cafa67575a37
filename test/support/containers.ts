import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { GenericContainer, Network, Wait, getContainerRuntimeClient, type StartedNetwork, type StartedTestContainer } from 'testcontainers';
import type { PipelineConfig } from '#pipeline/index.ts';
import type { StackState } from '#stack/state/state.ts';
import { processLabel } from './compose.ts';

/** A container that can be treated as life treats machines. */
export type Victim = {
  readonly pause: () => Promise<void>;
  readonly unpause: () => Promise<void>;
  /** SIGKILL. */
  readonly kill: () => Promise<void>;
  readonly start: () => Promise<void>;
  /** Takes it off the network: nothing is refused or closed, packets go nowhere. */
  readonly disconnect: () => Promise<void>;
  /** Back under the same name with another address, so that every connection it had is dead without a word. */
  readonly reconnect: () => Promise<void>;
};

/** A program of the application image. */
export type Program = Victim & {
  readonly logs: () => string;
  /** SIGTERM; resolves with its exit code once it has ended. */
  readonly stop: () => Promise<number>;
};

export type ContainerStack = AsyncDisposable & {
  readonly kafka: Victim;
  readonly connect: Victim;
  /** Where Connect and programs find the legacy database's server. */
  readonly legacyAddress: { readonly host: string; readonly port: number };
  /** Runs `cdc …` in the application image, its configuration moved to the network's names. */
  readonly startProgram: (args: readonly string[], config: PipelineConfig) => Promise<Program>;
};

const root = join(import.meta.dirname, '..', '..');
const ports = { postgres: 5432, kafka: 19092, connect: 8083 } as const;
const host = 'localhost';
/** What a test process was killed over is removed by the next run. */
const testLabels = { [processLabel]: String(process.pid) };
/** Long: machines that build and test are busy ones. */
const startLimitMs = 150_000;

function image(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: run container tests with npm run test:containers, which prepares the images`);
  return value;
}

/**
 * Postgres twice, Kafka and Connect as containers on a network of their own, with free ports on this machine. Writes a stack.json and
 * points CDC_TEST_STACK at it: all test support then works on them.
 */
export async function startContainers(): Promise<ContainerStack> {
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'cdc-containers-'));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const network = opened.use(await new Network().start());
  const secrets = {
    superuser: secret(),
    owner: secret(),
    application: secret(),
    poller: secret(),
    replicator: secret(),
    readModel: secret(),
  };
  // Fixed, so that a container that was killed comes back where it was.
  const free = { legacy: await getPort(), read: await getPort(), kafka: await getPort(), connect: await getPort() };

  const postgres = (alias: string, port: number, script: string, environment: Record<string, string>) =>
    new GenericContainer(image('CDC_IMAGE_POSTGRES'))
      .withNetwork(network)
      .withLabels(testLabels)
      .withNetworkAliases(alias)
      .withExposedPorts({ container: ports.postgres, host: port })
      .withEnvironment({ POSTGRES_PASSWORD: secrets.superuser, ...environment })
      .withCopyFilesToContainer([
        { source: join(root, 'containers/postgres', script), target: `/docker-entrypoint-initdb.d/${script}`, mode: 0o755 },
      ])
      .withTmpFs({ '/var/lib/postgresql': 'rw' })
      .withCommand(['postgres', ...legacySettings])
      // While its scripts run it does not listen.
      .withStartupTimeout(startLimitMs)
      .withWaitStrategy(Wait.forListeningPorts());
  const legacy = postgres('legacy-db', free.legacy, 'legacy-roles.sh', {
    LEGACY_DB_NAME: 'legacy',
    LEGACY_DB_OWNER_PASSWORD: secrets.owner,
    LEGACY_DB_APP_PASSWORD: secrets.application,
    LEGACY_DB_POLLER_PASSWORD: secrets.poller,
    LEGACY_DB_REPLICATOR_PASSWORD: secrets.replicator,
  });
  const read = postgres('read-db', free.read, 'read-roles.sh', { READ_DB_NAME: 'read_model', READ_DB_PASSWORD: secrets.readModel });
  const broker = new GenericContainer(image('CDC_IMAGE_KAFKA'))
    .withNetwork(network)
    .withLabels(testLabels)
    .withNetworkAliases('kafka')
    .withExposedPorts({ container: ports.kafka, host: free.kafka })
    .withEnvironment(kafkaEnvironment(free.kafka))
    .withStartupTimeout(startLimitMs)
    .withWaitStrategy(Wait.forListeningPorts());
  const [, , kafka] = await Promise.all([legacy, read, broker].map(async (container) => opened.use(await container.start())));
  assert.ok(kafka);
  const connect = opened.use(
    await new GenericContainer(image('CDC_IMAGE_CONNECT'))
      .withNetwork(network)
      .withLabels(testLabels)
      .withNetworkAliases('connect')
      .withExposedPorts({ container: ports.connect, host: free.connect })
      .withEnvironment({ ...connectEnvironment, LEGACY_DB_REPLICATOR_PASSWORD: secrets.replicator })
      .withStartupTimeout(startLimitMs)
      .withWaitStrategy(Wait.forHttp('/health', ports.connect).forStatusCode(200))
      .start(),
  );

  const superuser = role('postgres', secrets.superuser);
  const state: StackState = {
    legacyServer: { host, port: free.legacy, superuser },
    readServer: { host, port: free.read, superuser },
    roles: {
      owner: role('legacy_owner', secrets.owner),
      application: role('legacy_app', secrets.application),
      poller: role('cdc_poller', secrets.poller),
      replicator: role('cdc_replicator', secrets.replicator),
    },
    readModel: role('read_model', secrets.readModel),
    kafka: { brokers: `${host}:${free.kafka}` },
    connect: { url: `http://${host}:${free.connect}` },
    environment: {},
    processes: [],
  };
  await writeFile(join(folder, 'stack.json'), JSON.stringify(state), { mode: 0o600 });
  process.env['CDC_TEST_STACK'] = folder;
  const resources = opened.move();
  return {
    kafka: victim(kafka, network, 'kafka'),
    connect: victim(connect, network, 'connect'),
    legacyAddress: { host: 'legacy-db', port: ports.postgres },
    startProgram: async (args, config) => {
      const file = join(folder, `pipeline-${secret()}.yaml`);
      // Readable for the image's own user; the folder above is ours alone.
      await writeFile(file, JSON.stringify(onNetwork(config)), { mode: 0o644 });
      let text = '';
      const container = resources.use(
        await new GenericContainer(image('CDC_IMAGE_APP'))
          .withNetwork(network)
          .withLabels(testLabels)
          .withBindMounts([{ source: file, target: '/app/pipeline.yaml', mode: 'ro' }])
          .withCommand([...args])
          .withDroppedCapabilities('ALL')
          .withSecurityOpt('no-new-privileges:true')
          .withLogConsumer((stream) => {
            stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
          })
          .withStartupTimeout(startLimitMs)
          .withWaitStrategy(Wait.forLogMessage(/./))
          .start(),
      );
      return { ...victim(container, network, `program-${container.getId().slice(0, 8)}`), logs: () => text, stop: () => stopOf(container) };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

const legacySettings = [
  'wal_level=logical',
  'track_commit_timestamp=on',
  'max_prepared_transactions=10',
  'fsync=off',
  // What a client that was cut off has left is gone when the test looks for connections left open; by default the server asks after 2 hours.
  'tcp_keepalives_idle=2',
  'tcp_keepalives_interval=1',
  'tcp_keepalives_count=3',
  'tcp_user_timeout=5000',
].map((setting) => `-c${setting}`);

function kafkaEnvironment(port: number): Record<string, string> {
  return {
    KAFKA_NODE_ID: '1',
    KAFKA_PROCESS_ROLES: 'broker,controller',
    KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
    KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
    KAFKA_INTER_BROKER_LISTENER_NAME: 'INTERNAL',
    KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT',
    KAFKA_LISTENERS: `INTERNAL://:9092,EXTERNAL://:${ports.kafka},CONTROLLER://:9093`,
    KAFKA_ADVERTISED_LISTENERS: `INTERNAL://kafka:9092,EXTERNAL://${host}:${port}`,
    KAFKA_LOG_DIRS: '/var/lib/kafka/data',
    KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
    KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
    KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
    KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
    KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
    KAFKA_HEAP_OPTS: '-Xmx1g',
    KAFKA_JVM_PERFORMANCE_OPTS: smallJvm,
  };
}

const smallJvm = '-XX:+UseSerialGC -XX:TieredStopAtLevel=1';

const connectEnvironment = {
  LEGACY_DB_REPLICATOR_USER: 'cdc_replicator',
  CONNECT_BOOTSTRAP_SERVERS: 'kafka:9092',
  CONNECT_GROUP_ID: 'connect',
  CONNECT_REST_ADVERTISED_HOST_NAME: 'connect',
  // As docker-compose.yml has it.
  CONNECT_SCHEDULED_REBALANCE_MAX_DELAY_MS: '10000',
  CONNECT_OFFSET_STORAGE_TOPIC: 'connect-offsets',
  CONNECT_OFFSET_STORAGE_REPLICATION_FACTOR: '1',
  CONNECT_OFFSET_FLUSH_INTERVAL_MS: '1000',
  CONNECT_CONFIG_STORAGE_TOPIC: 'connect-configs',
  CONNECT_CONFIG_STORAGE_REPLICATION_FACTOR: '1',
  CONNECT_STATUS_STORAGE_TOPIC: 'connect-status',
  CONNECT_STATUS_STORAGE_REPLICATION_FACTOR: '1',
  KAFKA_HEAP_OPTS: '-Xmx1g',
  KAFKA_JVM_PERFORMANCE_OPTS: smallJvm,
};

/** The same servers as other containers see them. */
function onNetwork(config: PipelineConfig): unknown {
  return {
    ...config,
    legacyDb: { ...config.legacyDb, host: 'legacy-db', port: ports.postgres },
    kafka: { ...config.kafka, brokers: ['kafka:9092'] },
    ...(config.readModel === undefined ? {} : { readModel: { ...config.readModel, host: 'read-db', port: ports.postgres } }),
  };
}

function victim(container: StartedTestContainer, network: StartedNetwork, alias: string): Victim {
  const handle = async () => (await dockerode()).getContainer(container.getId());
  const link = async () => (await dockerode()).getNetwork(network.getId());
  const address = async () => (await (await handle()).inspect()).NetworkSettings.Networks[network.getName()]?.IPAddress;
  let left: string | undefined;
  return {
    // By signals: an engine on cgroup v1 refuses to freeze a busy container now and then ("unable to freeze").
    pause: async () => {
      await (await handle()).kill({ signal: 'SIGSTOP' });
      const { output } = await container.exec(['cat', '/proc/1/stat']);
      assert.match(output, /^1 \((java|node)\) T /, 'the server itself is process 1, and is stopped');
    },
    unpause: async () => void (await (await handle()).kill({ signal: 'SIGCONT' })),
    kill: async () => void (await (await handle()).kill()),
    start: async () => void (await (await handle()).start()),
    disconnect: async () => {
      left = await address();
      await (await link()).disconnect({ Container: container.getId(), Force: true });
    },
    reconnect: async () => {
      // An engine gives the first address that is free: the one just left, and connections would live on. So somebody takes that.
      await using taken = new AsyncDisposableStack();
      const squatter = new GenericContainer(image('CDC_IMAGE_APP')).withEntrypoint(['sleep', 'infinity']);
      taken.use(await squatter.withNetwork(network).withLabels(testLabels).start());
      await (await link()).connect({ Container: container.getId(), EndpointConfig: { Aliases: [alias] } });
      assert.notEqual(await address(), left, 'the address after the cut');
    },
  };
}

async function stopOf(container: StartedTestContainer): Promise<number> {
  const handle = (await dockerode()).getContainer(container.getId());
  await handle.stop({ t: 30 });
  return (await handle.inspect()).State.ExitCode;
}

async function dockerode() {
  return (await getContainerRuntimeClient()).container.dockerode;
}

function role(user: string, password: string): { user: string; password: string } {
  return { user, password };
}

function secret(): string {
  return randomBytes(12).toString('hex');
}
