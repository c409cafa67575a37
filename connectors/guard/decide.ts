import type { GuardConfig } from '#pipeline/index.ts';
import { lateAfterMs } from '../heartbeat.ts';
import type { LossVerdict } from '../state/loss.ts';
import { formatBytes } from '../postgres/lsn.ts';
import { unpublishedText } from '../postgres/facts/expectations.ts';
import type { StatusSummary } from '../state/status.ts';

/** What the guard sees of one connector at one moment. What could not be read is `unknown`, never assumed well. */
export type GuardView = {
  /** Monotonic, in ms. */
  readonly at: number;
  readonly connector: StatusSummary['health'] | 'absent' | 'unknown';
  /** Why it failed, or could not be asked. */
  readonly cause?: string | undefined;
  readonly source: SourceView | { readonly kind: 'unknown'; readonly cause: string };
};

export type SourceView = {
  readonly kind: 'seen';
  readonly slot: { readonly name: string; readonly retainedBytes: number | null } | null;
  readonly beatAgeMs: number | null;
  /** How often the connector is to beat. */
  readonly beatEveryMs: number;
  readonly loss: LossVerdict;
  readonly unpublished: readonly string[];
  /** Null where there are none (a binlog): then `unpublished` are tables that the connector's user does not see. */
  readonly publication: string | null;
};

export const alarmNames = [
  'loss',
  'unpublished',
  'failed',
  'given-up',
  'absent',
  'retention',
  'heartbeat',
  'connect-unknown',
  'source-unknown',
] as const;
export type AlarmName = (typeof alarmNames)[number];

/** What the guard does or says. `alarm` comes when its condition begins, `clear` when it ends. */
export type GuardAction =
  | { readonly kind: 'alarm'; readonly alarm: AlarmName; readonly text: string }
  | { readonly kind: 'clear'; readonly alarm: AlarmName }
  | { readonly kind: 'restart'; readonly attempt: number; readonly of: number }
  | { readonly kind: 'drop-slot'; readonly slot: string; readonly retainedBytes: number };

/** What the guard remembers of one connector between two looks. */
export type GuardMemory = {
  readonly alarms: readonly AlarmName[];
  /** Retention at which it warned last, in bytes: it warns again at the double. */
  readonly warnedBytes: number;
  /** Restarts since the connector last ran steadily. */
  readonly restarts: number;
  /** Null while nothing has failed. */
  readonly nextRestartAt: number | null;
  readonly runningSince: number | null;
};

export const freshMemory: GuardMemory = { alarms: [], warnedBytes: 0, restarts: 0, nextRestartAt: null, runningSince: null };

export type Decision = { readonly actions: readonly GuardAction[]; readonly memory: GuardMemory };

/**
 * From one look to what is to be done; pure. A connector that lost its slot is not restarted: it could only go on with a hole. A slot is
 * dropped only by policy (dropSlotBytes), and an unknown source never leads to it.
 */
export function decide(policy: GuardConfig, memory: GuardMemory, view: GuardView): Decision {
  const restart = decideRestart(policy, memory, view);
  const holding = alarmsOf(policy, view, restart.givenUp);
  const retained = view.source.kind === 'seen' ? (view.source.slot?.retainedBytes ?? 0) : memory.warnedBytes;
  const again = holding.has('retention') && memory.alarms.includes('retention') && retained >= memory.warnedBytes * 2;
  const raised = [...holding].filter(([alarm]) => !memory.alarms.includes(alarm) || (alarm === 'retention' && again));
  const kept = memory.alarms.filter((alarm) => !holding.has(alarm) && isUnseen(alarm, view));
  const ended = memory.alarms.filter((alarm) => !holding.has(alarm) && !kept.includes(alarm));
  return {
    actions: [
      ...raised.map(([alarm, text]) => ({ kind: 'alarm', alarm, text }) as const),
      ...ended.map((alarm) => ({ kind: 'clear', alarm }) as const),
      ...dropByPolicy(policy, view),
      ...restart.actions,
    ],
    memory: {
      ...restart.memory,
      alarms: [...holding.keys(), ...kept],
      warnedBytes: raised.some(([alarm]) => alarm === 'retention') ? retained : ended.includes('retention') ? 0 : memory.warnedBytes,
    },
  };
}

/** An alarm whose condition cannot be looked at now: it neither ends nor begins. */
function isUnseen(alarm: AlarmName, { connector, source }: GuardView): boolean {
  if (alarm === 'heartbeat') return source.kind === 'unknown' || connector === 'unknown';
  if (alarm === 'loss' && source.kind === 'seen' && source.loss.kind === 'unknown') return true;
  if (alarm === 'loss' || alarm === 'unpublished' || alarm === 'retention') return source.kind === 'unknown';
  return (alarm === 'failed' || alarm === 'given-up' || alarm === 'absent') && connector === 'unknown';
}

function alarmsOf(policy: GuardConfig, view: GuardView, givenUp: boolean): ReadonlyMap<AlarmName, string> {
  const alarms = new Map<AlarmName, string>();
  const { connector, source, cause = 'no cause given' } = view;
  if (source.kind === 'unknown') alarms.set('source-unknown', source.cause);
  else {
    const { slot, beatAgeMs, beatEveryMs, loss, unpublished, publication } = source;
    if (loss.kind === 'lost') alarms.set('loss', loss.text);
    if (unpublished.length > 0) alarms.set('unpublished', unpublishedText(unpublished, publication));
    if (slot !== null && slot.retainedBytes !== null && slot.retainedBytes >= policy.warnBytes) {
      alarms.set('retention', `slot ${slot.name} keeps ${formatBytes(slot.retainedBytes)} of WAL on the source's disk${threat(policy)}`);
    }
    const shouldBeat = connector === 'running' || connector === 'pending' || connector === 'failed';
    if (shouldBeat && beatAgeMs !== null && beatAgeMs > lateAfterMs(beatEveryMs, policy.warnHeartbeatMs)) {
      alarms.set(
        'heartbeat',
        `the last heartbeat in the source is ${Math.round(beatAgeMs / 1000)} s old${connector === 'running' ? stalled : ''}`,
      );
    }
  }
  if (connector === 'unknown') alarms.set('connect-unknown', cause);
  if (connector === 'absent') alarms.set('absent', 'Kafka Connect has no connector of this name');
  if (connector === 'failed') alarms.set('failed', cause);
  if (givenUp) alarms.set('given-up', `still FAILED after ${policy.restartMax} restarts: left to a person`);
  return alarms;
}

/** What may be behind a connector that runs and captures nothing, in the order in which it is looked for. */
const stalled =
  ', though the connector is RUNNING: it captures nothing. Its UPDATE of the heartbeat may wait for a lock or lack its right (pg_blocking_pids, SHOW PROCESSLIST), ' +
  'somebody else may hold its slot (cdc doctor), or its task hangs: then cdc connectors restart';

function threat({ dropSlotBytes }: GuardConfig): string {
  return dropSlotBytes === undefined ? '' : `; at ${formatBytes(dropSlotBytes)} the policy drops it`;
}

function dropByPolicy({ dropSlotBytes }: GuardConfig, { source }: GuardView): readonly GuardAction[] {
  if (dropSlotBytes === undefined || source.kind === 'unknown' || source.slot === null) return [];
  const { name, retainedBytes } = source.slot;
  return retainedBytes !== null && retainedBytes >= dropSlotBytes ? [{ kind: 'drop-slot', slot: name, retainedBytes }] : [];
}

type RestartDecision = { readonly actions: readonly GuardAction[]; readonly givenUp: boolean; readonly memory: GuardMemory };

function decideRestart(policy: GuardConfig, memory: GuardMemory, view: GuardView): RestartDecision {
  const { at, connector, source } = view;
  const nothing = (changed: Partial<GuardMemory>, givenUp = false): RestartDecision => ({
    actions: [],
    givenUp,
    memory: { ...memory, ...changed },
  });
  if (connector === 'running') {
    const runningSince = memory.runningSince ?? at;
    // One that fails again right after each restart must not get new restarts for ever.
    const steady = at - runningSince >= waitBefore(policy, memory.restarts);
    return nothing({ runningSince, nextRestartAt: null, ...(steady ? { restarts: 0 } : {}) });
  }
  if (connector !== 'failed') return nothing({ runningSince: null, nextRestartAt: null });
  const lost = source.kind === 'seen' && source.loss.kind === 'lost';
  if (lost || dropByPolicy(policy, view).length > 0) return nothing({ runningSince: null });
  if (memory.restarts >= policy.restartMax) return nothing({ runningSince: null }, true);
  if (memory.nextRestartAt === null) return nothing({ runningSince: null, nextRestartAt: at + waitBefore(policy, memory.restarts) });
  if (at < memory.nextRestartAt) return nothing({ runningSince: null });
  const attempt = memory.restarts + 1;
  return {
    actions: [{ kind: 'restart', attempt, of: policy.restartMax }],
    givenUp: false,
    memory: { ...memory, runningSince: null, restarts: attempt, nextRestartAt: at + waitBefore(policy, attempt) },
  };
}

/** The wait doubles with each restart. */
function waitBefore({ restartBackoffMs, restartBackoffMaxMs }: GuardConfig, restarts: number): number {
  return Math.min(restartBackoffMaxMs, restartBackoffMs * 2 ** Math.min(restarts, 30));
}
