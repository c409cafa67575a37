import type { ConnectorConfig, ConnectorFile } from '#connectors/config-file.ts';
import { planChanges } from '#connectors/register/plan.ts';
import { finding, type Finding } from '../finding.ts';
import type { ConnectFacts, ConnectorFacts } from './probe-connect.ts';

/** What the files must agree with. */
export type Expected = {
  readonly topicPrefix: string;
  readonly database: string;
  /** host:port of legacyDb. */
  readonly server: string;
};

/** A connector file on its own: does it write and read where pipeline.yaml says? References are the worker's to resolve. Pure. */
export function judgeFile({ name, config }: ConnectorFile, { topicPrefix, database, server }: Expected): readonly Finding[] {
  const subject = { kind: 'connector', name } as const;
  const findings: Finding[] = [];
  const prefix = config['topic.prefix'] ?? '';
  if (!isReference(prefix) && prefix !== topicPrefix) {
    findings.push(finding('TOPIC_PREFIX_DIFFERS', 'log', subject, { prefix: prefix === '' ? '(none)' : prefix, expected: topicPrefix }));
  }
  // Host and port are often others from inside a container network; the database's name is not.
  const setting = 'database.dbname';
  const value = config[setting];
  if (value !== undefined && !isReference(value) && value !== database) {
    findings.push(finding('CONNECTOR_DATABASE_DIFFERS', 'log', subject, { setting, value, expected: database }));
  }
  return [...findings, ...judgeTls(name, config, server)];
}

/** A driver that merely prefers TLS gives its password and the rows to anyone in between who has no TLS. */
function judgeTls(name: string, config: ConnectorConfig, server: string): readonly Finding[] {
  const setting = /mysql|mariadb/i.test(config['connector.class'] ?? '') ? 'database.ssl.mode' : 'database.sslmode';
  const value = config[setting] ?? '';
  const own = config['database.hostname'] ?? '';
  const host = own === '' || isReference(own) ? server.replace(/:\d+$/, '') : own;
  if (isReference(value) || /^(?:require|verify|trust)/i.test(value) || isLoopback(host)) return [];
  const detail = { host, setting, value: value === '' ? "not set, so the driver's default" : value };
  return [finding('SOURCE_TLS_OPTIONAL', 'log', { kind: 'connector', name }, detail)];
}

function isLoopback(host: string): boolean {
  return host === '' || host.startsWith('/') || /^(?:localhost|127(?:\.\d+){3}|\[?::1\]?)$/i.test(host);
}

function isReference(value: string): boolean {
  return value.includes('${');
}

/** What Connect reports of the connectors. Pure. */
export function judgeConnect(facts: ConnectFacts, files: readonly ConnectorFile[]): readonly Finding[] {
  if (facts.state === 'unreachable') {
    return [finding('CONNECT_UNREACHABLE', 'log', { kind: 'connect', name: facts.url }, { detail: facts.detail })];
  }
  const unreadable = facts.unreadable.map(({ name, detail }) =>
    finding('CONNECTOR_UNREADABLE', 'log', { kind: 'connector', name }, { detail, connector: name }),
  );
  const judged = facts.connectors.flatMap((connector) => {
    const file = files.find(({ name }) => name === connector.name);
    return [...judgeSettings(connector, file?.config ?? {}), ...judgeState(connector), ...judgeAnswer(connector)];
  });
  const open = facts.openAt === undefined ? [] : [finding('CONNECT_OPEN', 'log', { kind: 'connect', name: facts.openAt }, {})];
  return [...open, ...unreadable, ...judged];
}

function judgeSettings({ name, running, problems }: ConnectorFacts, wanted: ConnectorConfig): readonly Finding[] {
  const subject = { kind: 'connector', name } as const;
  const findings: Finding[] = [];
  if (problems.length > 0) {
    const detail = problems.join('; ').replace(/\.$/, '');
    findings.push(finding('CONNECTOR_SETTINGS_REFUSED', 'log', subject, { detail, connector: name }));
  }
  const changes = running === null ? [] : planChanges(running, wanted).changes;
  if (changes.length > 0) {
    findings.push(finding('CONNECTOR_DIFFERS', 'log', subject, { keys: changes.map(({ key }) => key).join(', '), connector: name }));
  }
  return findings;
}

/** A connector that was never created is no finding: doctor comes before. */
function judgeState({ name, status }: ConnectorFacts): readonly Finding[] {
  if (status === null) return [];
  const subject = { kind: 'connector', name } as const;
  if (status.state === 'FAILED') {
    return [finding('CONNECTOR_FAILED', 'log', subject, { detail: sentence(status.cause), connector: name })];
  }
  const failed = status.tasks.filter(({ state }) => state === 'FAILED');
  if (failed.length > 0) {
    return failed.map(({ id, cause }) =>
      finding('TASK_FAILED', 'log', subject, { state: status.state, task: String(id), detail: sentence(cause), connector: name }),
    );
  }
  return status.health === 'halted' ? [finding('CONNECTOR_HALTED', 'log', subject, { state: status.state, connector: name })] : [];
}

/** What Connect reports of a connector from memory, it reports also while Kafka is away; not so the position. */
function judgeAnswer({ name, offsetsProblem }: ConnectorFacts): readonly Finding[] {
  if (offsetsProblem === undefined) return [];
  const detail = `its position, which it reads from Kafka, could not be had (${offsetsProblem})`;
  return [finding('CONNECTOR_UNREADABLE', 'log', { kind: 'connector', name }, { detail, connector: name })];
}

function sentence(cause: string | undefined): string {
  return (cause ?? 'no cause given').replace(/\.$/, '');
}
