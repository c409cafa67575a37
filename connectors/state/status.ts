import type { ConnectorStatus } from '../rest/schemas.ts';
import { shortTrace } from './trace.ts';

/** A connector's state and its tasks', the way a person asks for it: is it running, and if not, why. */
export type StatusSummary = {
  readonly name: string;
  readonly state: string;
  readonly tasks: readonly { readonly id: number; readonly state: string; readonly worker: string; readonly cause?: string }[];
  /**
   * `running`: the connector and all of its tasks (one at least). `failed`: any of them FAILED, which Connect itself still shows as a
   * RUNNING connector when it is a task. `halted`: PAUSED or STOPPED by somebody. `pending`: on its way.
   */
  readonly health: 'running' | 'failed' | 'halted' | 'pending';
  /** The root cause in one line, when `failed`. */
  readonly cause?: string;
};

/** Reads a status answer; pure. */
export function summarizeStatus(status: ConnectorStatus): StatusSummary {
  const tasks = status.tasks.map(({ id, state, worker_id: worker, trace }) => ({
    id,
    state,
    worker,
    ...(trace === undefined ? {} : { cause: shortTrace(trace) }),
  }));
  const connectorCause = status.connector.trace === undefined ? undefined : shortTrace(status.connector.trace);
  const failedTask = tasks.find(({ state }) => state === 'FAILED');
  const cause =
    status.connector.state === 'FAILED' ? (connectorCause ?? 'no cause given') : failedTask && (failedTask.cause ?? 'no cause given');
  return {
    name: status.name,
    state: status.connector.state,
    tasks,
    health: health(
      status.connector.state,
      tasks.map(({ state }) => state),
    ),
    ...(cause === undefined ? {} : { cause }),
  };
}

function health(connector: string, tasks: readonly string[]): StatusSummary['health'] {
  if (connector === 'FAILED' || tasks.includes('FAILED')) return 'failed';
  if (connector === 'PAUSED' || connector === 'STOPPED') return 'halted';
  return connector === 'RUNNING' && tasks.length > 0 && tasks.every((state) => state === 'RUNNING') ? 'running' : 'pending';
}

/** One line about a connector, and one about each task that does not run. */
export function formatStatus(summary: StatusSummary): string {
  const running = summary.tasks.filter(({ state }) => state === 'RUNNING').length;
  const lines = [`${summary.name}: ${summary.state}, ${running} of ${summary.tasks.length} tasks RUNNING`];
  if (summary.state === 'FAILED' && summary.cause !== undefined) lines.push(`  ${summary.cause}`);
  for (const task of summary.tasks.filter(({ state }) => state !== 'RUNNING')) {
    lines.push(`  task ${task.id} ${task.state}${task.cause === undefined ? '' : `: ${task.cause}`}`);
  }
  return lines.join('\n');
}
