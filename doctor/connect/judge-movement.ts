import { beatEveryMs, lateAfterMs } from '#connectors/heartbeat.ts';
import type { ConnectorConfig } from '#connectors/config-file.ts';
import { snapshotState } from '#connectors/register/running.ts';
import type { ConnectorOffsets } from '#connectors/rest/schemas.ts';
import { finding, type Finding } from '../finding.ts';
import type { ConnectorFacts } from './probe-connect.ts';
import { ageText } from '#connectors/postgres/sql-names.ts';

/** What the source shows at one moment of a connector's heartbeat and reader. */
export type HeartbeatState = {
  /** Monotonic, in ms. */
  readonly at: number;
  /** The source's clock, in ms since 1970. */
  readonly sourceMs: number;
  /** Null: no heartbeat to be read. */
  readonly beatAgeMs: number | null;
  /** How long the session that reads the slot has been there; null: there is none, or such a thing is not known. */
  readonly readerMs: number | null;
  /** Sessions that hold what a session of the connector's role waits for. */
  readonly blockers: readonly string[];
};

/** A connector at one moment: the source, and its position (null: Connect does not report it). */
export type Movement = { readonly heartbeat: HeartbeatState; readonly offsets: ConnectorOffsets | null };

/** After how long a position that does not move counts as stalled. `published`: each beat comes back through the log, so that the position moves with it. */
export type Rhythm = { readonly everyMs: number; readonly lateMs: number; readonly lateStoreMs: number; readonly published: boolean };

/** A worker without exactly-once stores positions this often (offset.flush.interval.ms), if nobody has changed that. */
const storesEveryMs = 60_000;
const longestWaitMs = 15_000;

export function rhythmOf(config: ConnectorConfig, warnMs: number, published: boolean): Rhythm {
  const everyMs = beatEveryMs(config);
  const lateMs = lateAfterMs(everyMs, warnMs);
  return { everyMs, lateMs, lateStoreMs: config['exactly.once.support'] === 'required' ? lateMs : lateMs + storesEveryMs, published };
}

/** Past its snapshot, and called neither FAILED nor halted: it should move. */
export function shouldMove({ status, offsets }: ConnectorFacts): boolean {
  const { health } = status ?? {};
  return (health === 'running' || health === 'pending') && (offsets === null || snapshotState(offsets) === 'streaming');
}

/** Whether it may halt, so that it is worth examining a second time. Pure. */
export function mayBeStalled({ heartbeat, offsets }: Movement, rhythm: Rhythm): boolean {
  return isBeatLate(heartbeat, rhythm) || isPositionLate(heartbeat, offsets, rhythm);
}

/** How long to wait for the second examination: a connector that has just started has beaten by then. */
export function secondExaminationMs({ everyMs }: Rhythm): number {
  return Math.min(longestWaitMs, startMs(everyMs));
}

/** Within this one that has connected has beaten. */
function startMs(everyMs: number): number {
  return 2 * everyMs + 3000;
}

/** Two moments of a connector that {@link mayBeStalled}. What moves in between is only behind. Pure. */
export function judgeMovement(connector: ConnectorFacts, first: Movement, second: Movement, rhythm: Rhythm): readonly Finding[] {
  const waited = second.heartbeat.at - first.heartbeat.at;
  const { beatAgeMs } = second.heartbeat;
  const beat = beatAgeMs !== null && first.heartbeat.beatAgeMs !== null && beatAgeMs < waited + first.heartbeat.beatAgeMs / 2;
  const moved = second.offsets !== null && JSON.stringify(second.offsets) !== JSON.stringify(first.offsets);
  if (moved || !mayBeStalled(second, rhythm)) return [];
  const positionText = positionOfText(second, waited);
  const isLate = isBeatLate(second.heartbeat, rhythm) && !beat && beatAgeMs !== null;
  if (!isLate && !isPositionLate(second.heartbeat, second.offsets, rhythm)) return [];
  const stalled = (detail: string, severity?: Finding['severity']): readonly Finding[] => {
    const state = connector.status?.state ?? '?';
    const particulars = { state, detail, connector: connector.name };
    return [finding('CONNECTOR_STALLED', 'log', { kind: 'connector', name: connector.name }, particulars, severity)];
  };
  if (!isLate)
    return stalled(`the heartbeat is young, but ${positionText} (a transaction of gigabytes looks so until it is read)`, 'warning');
  const { blockers, readerMs } = second.heartbeat;
  const waits = blockers.length === 0 ? '' : `; a session of its role waits for a lock of ${blockers.join(' and ')}`;
  const observed = `its last heartbeat in the source is ${ageText(beatAgeMs / 1000)} old (one is due every ${ageText(rhythm.everyMs / 1000)}), ${positionText}${waits}`;
  if (readerMs !== null && readerMs < startMs(rhythm.everyMs))
    return stalled(`${observed}; it connected ${ageText(readerMs / 1000)} ago and may be about to`, 'unknown');
  if (waited < rhythm.everyMs) return stalled(`${observed}; doctor did not look long enough to see whether the next one comes`, 'unknown');
  return stalled(observed);
}

function isBeatLate({ beatAgeMs }: HeartbeatState, { lateMs, everyMs }: Rhythm): boolean {
  return everyMs > 0 && beatAgeMs !== null && beatAgeMs > lateMs;
}

function isPositionLate(
  { sourceMs }: HeartbeatState,
  offsets: ConnectorOffsets | null,
  { everyMs, lateStoreMs, published }: Rhythm,
): boolean {
  const readMs = offsets === null ? null : positionMs(offsets);
  return everyMs > 0 && published && readMs !== null && sourceMs - readMs > lateStoreMs;
}

function positionOfText({ heartbeat, offsets }: Movement, waitedMs: number): string {
  if (offsets === null) return 'and Kafka Connect does not report its position (it reads that from Kafka: is Kafka up?)';
  const readMs = positionMs(offsets);
  const age = readMs === null ? '' : `is ${ageText((heartbeat.sourceMs - readMs) / 1000)} old and `;
  return `its position ${age}did not move in the ${ageText(waitedMs / 1000)} that doctor looked`;
}

/** When the source committed what a Debezium connector read last, in ms since 1970; null where its position does not say. */
function positionMs(offsets: ConnectorOffsets): number | null {
  const times = offsets.flatMap(({ offset }) => {
    const { ts_usec: micros, ts_sec: seconds } = offset ?? {};
    if (typeof micros === 'number') return [micros / 1000];
    return typeof seconds === 'number' ? [seconds * 1000] : [];
  });
  return times.length === 0 ? null : Math.max(...times);
}
