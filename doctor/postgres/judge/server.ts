import { finding, type Finding, type Strategy } from '../../finding.ts';
import type { ReplicationFacts, SlotFacts } from '../probe/replication.ts';
import type { ClockFacts, ServerFacts } from '../probe/server.ts';
import { formatBytes } from '#connectors/postgres/lsn.ts';
import { ageText, sqlText } from '#connectors/postgres/sql-names.ts';

/** A second is what the poller's clock margin is by default. */
const clockToleranceMs = 1000;

export function judgeStandby({ standby }: ServerFacts, server: string, strategy: Strategy): readonly Finding[] {
  return standby ? [finding('SOURCE_IS_STANDBY', strategy, { kind: 'server', name: server }, {})] : [];
}

/** Only what the measurement proves counts: the quickest round trip is taken off. Pure. */
export function judgeClock({ offsetMs, uncertaintyMs }: ClockFacts, server: string): readonly Finding[] {
  if (Math.abs(offsetMs) - uncertaintyMs <= clockToleranceMs) return [];
  const particulars = { offset: ageText(Math.abs(offsetMs) / 1000), direction: offsetMs > 0 ? 'ahead of' : 'behind' };
  return [finding('CLOCK_OFFSET', 'query', { kind: 'server', name: server }, particulars)];
}

function setting(name: string): { kind: 'setting'; name: string } {
  return { kind: 'setting', name };
}

/** The settings that log-based capture needs from the server. `wanted` are the slots of the connector files. Pure. */
export function judgeLogServer(server: ServerFacts, { slots }: ReplicationFacts, wanted: readonly string[]): readonly Finding[] {
  const findings: Finding[] = [];
  if (server.walLevel !== 'logical') findings.push(finding('WAL_LEVEL', 'log', setting('wal_level'), { value: server.walLevel }));
  const missing = wanted.filter((name) => slots.every((slot) => slot.name !== name));
  const [firstMissing] = missing;
  if (firstMissing !== undefined && slots.length + missing.length > server.maxReplicationSlots) {
    const particulars = {
      value: String(server.maxReplicationSlots),
      slots: slots.map(({ name, active }) => `${name}${active ? '' : ' (inactive)'}`).join(', ') || 'there are none to have',
      more: String(slots.length + missing.length + 2),
    };
    findings.push(finding('NO_SLOT_LEFT', 'log', { kind: 'slot', name: missing.join(', ') }, particulars));
  }
  const idle = wanted.filter((name) => !slots.some((slot) => slot.name === name && slot.active)).length;
  if (server.walSenders + idle > server.maxWalSenders) {
    const particulars = {
      used: String(server.walSenders),
      value: String(server.maxWalSenders),
      more: String(server.walSenders + idle + 2),
    };
    findings.push(finding('NO_WAL_SENDER_LEFT', 'log', setting('max_wal_senders'), particulars));
  }
  if (server.maxSlotWalKeepSize < 0) {
    const retained = formatBytes(Math.max(0, ...slots.map((slot) => slot.retainedBytes)));
    findings.push(finding('WAL_RETENTION_UNBOUNDED', 'log', setting('max_slot_wal_keep_size'), { retained }));
  }
  findings.push(...judgeFailover(server, slots, wanted));
  return findings;
}

/** A slot that follows to a standby promises a failover without loss; nothing may then be published that the standby lacks. */
function judgeFailover({ awaitedStandbys }: ServerFacts, slots: readonly SlotFacts[], wanted: readonly string[]): readonly Finding[] {
  const standbys = slots.filter(({ type }) => type === 'physical').map(({ name }) => name);
  if (awaitedStandbys !== '' || standbys.length === 0) return [];
  const particulars = { standbys: standbys.join(', '), names: sqlText(standbys.join(', ')) };
  return slots
    .filter(({ name, failover }) => failover === true && wanted.includes(name))
    .map(({ name }) => finding('STANDBY_NOT_AWAITED', 'log', { kind: 'slot', name }, particulars));
}
