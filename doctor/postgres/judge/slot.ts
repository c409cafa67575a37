import type { Capture } from '../../capture.ts';
import { finding, type Finding } from '../../finding.ts';
import type { ConnectorFacts } from '../../connect/probe-connect.ts';
import type { SlotFacts } from '../probe/replication.ts';
import { positionOf } from '#connectors/state/loss.ts';
import { snapshotState } from '#connectors/register/running.ts';
import { formatBytes, formatLsn, parseLsn } from '#connectors/postgres/lsn.ts';
import { sqlText } from '#connectors/postgres/sql-names.ts';

/** Where the slots are judged: the database that is captured, and what Connect knows (null: it could not be asked). */
export type SlotContext = { readonly database: string; readonly connector: ConnectorFacts | null };

/** One connector file's slot, against the connector's own position. Pure. */
export function judgeSlot(slot: SlotFacts | undefined, capture: Capture, context: SlotContext): readonly Finding[] {
  const subject = { kind: 'slot', name: capture.slot } as const;
  const position = streamingPosition(context.connector);
  const connector = capture.file.name;
  if (slot === undefined) {
    if (position === undefined) return [];
    return [finding('OFFSET_WITHOUT_SLOT', 'log', subject, { connector, offset: formatLsn(position) })];
  }
  const sqlSlot = sqlText(slot.name);
  const mismatch = mismatchOf(slot, capture, context.database);
  if (mismatch !== undefined) return [finding('SLOT_MISMATCH', 'log', subject, { detail: mismatch, sqlSlot })];
  const lost = lostFinding(slot);
  if (lost !== undefined) return [lost];
  const findings: Finding[] = [];
  if (slot.walStatus === 'unreserved') {
    const left = slot.safeWalBytes === null ? 'nothing left' : `${formatBytes(Math.max(0, slot.safeWalBytes))} left`;
    findings.push(finding('SLOT_AT_RISK', 'log', subject, { status: slot.walStatus, left }));
  }
  findings.push(...judgeReader(slot, context.connector));
  const confirmed = parseLsn(slot.confirmedFlushLsn ?? '');
  if (position !== undefined && confirmed !== undefined && position < confirmed) {
    const particulars = { connector, offset: formatLsn(position), position: formatLsn(confirmed) };
    findings.push(finding('OFFSET_BEHIND_SLOT', 'log', subject, particulars));
  }
  return findings;
}

/** A snapshot that is not complete begins again, wherever its slot is. */
function streamingPosition(connector: ConnectorFacts | null): bigint | undefined {
  const offsets = connector?.offsets ?? null;
  return offsets === null || snapshotState(offsets) !== 'streaming' ? undefined : positionOf(offsets);
}

/** A slot that no connector file names: nobody here reads it, but it may fill the disk all the same. Pure. */
export function judgeForeignSlot(slot: SlotFacts): readonly Finding[] {
  return slot.active || slot.walStatus === 'lost' || slot.restartLsn === null ? [] : [inactive(slot)];
}

function lostFinding(slot: SlotFacts): Finding | undefined {
  const { invalidationReason, walStatus } = slot;
  const reason = invalidationReason ?? (walStatus === 'lost' ? 'wal_status lost' : undefined);
  if (reason === undefined) return undefined;
  const particulars = { reason, sqlSlot: sqlText(slot.name), position: slot.confirmedFlushLsn ?? 'its last confirmed position' };
  return finding('SLOT_LOST', 'log', { kind: 'slot', name: slot.name }, particulars);
}

function mismatchOf(slot: SlotFacts, { plugin }: Capture, database: string): string | undefined {
  if (slot.type !== 'logical') return `it is a ${slot.type} one`;
  if (slot.database !== database) return `it belongs to database ${slot.database ?? '?'}`;
  if (slot.plugin !== plugin) return `its plugin is ${slot.plugin ?? '?'}, not ${plugin}`;
  return slot.temporary ? 'it is temporary' : undefined;
}

/** Inactive, read by its own connector, or by somebody else? */
function judgeReader(slot: SlotFacts, connector: ConnectorFacts | null): readonly Finding[] {
  const subject = { kind: 'slot', name: slot.name } as const;
  if (!slot.active) return [inactive(slot)];
  const who = `pid ${slot.activePid ?? '?'}${slot.reader === null ? '' : `: ${slot.reader}`}`;
  if (connector === null) return [finding('SLOT_HOLDER_UNKNOWN', 'log', subject, { who })];
  const detail = foreignReader(slot, connector);
  return detail === undefined ? [] : [finding('SLOT_BUSY', 'log', subject, { who, detail })];
}

/** Why the reader cannot be the connector; a paused connector keeps its session. */
function foreignReader({ reader }: SlotFacts, { name, status }: ConnectorFacts): string | undefined {
  if (status === null) return `Kafka Connect has no connector ${name}`;
  if (status.state === 'STOPPED') return `connector ${name} is STOPPED`;
  if (status.health === 'failed') return `connector ${name} has FAILED`;
  // A connector that runs retries for as long as somebody else holds its slot.
  return reader === null || /Debezium|JDBC/i.test(reader)
    ? undefined
    : `its session is not one of Debezium's, though connector ${name} runs`;
}

function inactive(slot: SlotFacts): Finding {
  const particulars = { database: slot.database ?? 'none', retained: formatBytes(slot.retainedBytes), sqlSlot: sqlText(slot.name) };
  return finding('SLOT_INACTIVE', 'log', { kind: 'slot', name: slot.name }, particulars);
}
