import { CdcError, type CliContext } from '#pipeline/index.ts';
import { isMariadb } from '../mariadb/mariadb-source.ts';
import { deleteConnector } from '../register/delete.ts';
import type { ConnectClient } from '../rest/client.ts';
import { dropSlot } from '../postgres/slot.ts';
import { summarizeStatus, type StatusSummary } from '../state/status.ts';
import { clientOf, replicatorOf, runningConfig, toJson, type JsonOption } from './connect-context.ts';

export async function listAll(context: CliContext, { json = false }: JsonOption): Promise<void> {
  const client = await clientOf(context);
  const names = (await client.connectors(context.signal)).toSorted();
  const summaries = await Promise.all(names.map((name) => summaryOf(client, name, context.signal)));
  if (json) context.print(toJson(summaries));
  else context.print(summaries.length === 0 ? `no connectors at ${client.url}` : summaries.map(inOneLine).join('\n'));
}

/** Connect goes on calling a connector RUNNING when its task has failed. */
function inOneLine({ name, state, tasks }: StatusSummary): string {
  const others = tasks.filter((task) => task.state !== state).map((task) => `, task ${task.id} ${task.state}`);
  return `${name}  ${state}${others.join('')}`;
}

/** A connector's state. @throws CdcError CONNECTOR_NOT_FOUND */
export async function summaryOf(client: ConnectClient, name: string, signal: AbortSignal): Promise<StatusSummary> {
  const status = await client.status(name, signal);
  if (status !== null) return summarizeStatus(status);
  if ((await client.config(name, signal)) !== null) return { name, state: 'UNASSIGNED', tasks: [], health: 'pending' };
  throw new CdcError('CONNECTOR_NOT_FOUND', `there is no connector ${name} at ${client.url}`);
}

export async function restartNamed(
  context: CliContext,
  names: readonly string[],
  options: { readonly onlyFailed?: boolean },
): Promise<void> {
  await each(context, names, 'restart asked for', (client, name) => client.restart(name, options, context.signal));
}

export async function pauseNamed(context: CliContext, names: readonly string[]): Promise<void> {
  await each(context, names, 'pause asked for', (client, name) => client.pause(name, context.signal));
}

export async function resumeNamed(context: CliContext, names: readonly string[]): Promise<void> {
  await each(context, names, 'resume asked for', (client, name) => client.resume(name, context.signal));
}

export async function stopNamed(context: CliContext, names: readonly string[]): Promise<void> {
  await each(context, names, 'stop asked for', (client, name) => client.stop(name, context.signal));
}

export async function deleteNamed(context: CliContext, names: readonly string[], options: { readonly dropSlot?: boolean }): Promise<void> {
  // Read before anything is deleted: a missing role is no reason to stop half-way.
  const replicator = options.dropSlot === true ? await replicatorOf(context) : undefined;
  const client = await clientOf(context);
  for (const name of names) {
    const slot = (await runningConfig(client, name, context.signal))['slot.name'];
    // Without its slot the position is worth nothing, and a new connector of the name would stumble over it.
    await deleteConnector(client, name, context.signal, { forgetPosition: replicator !== undefined });
    context.print(`${name}: deleted`);
    if (slot === undefined) continue;
    if (replicator === undefined || isMariadb(replicator))
      context.progress(`replication slot ${slot} stays and keeps WAL in the source; --drop-slot drops it`);
    else
      context.print((await dropSlot(replicator, slot)) ? `replication slot ${slot}: dropped` : `replication slot ${slot}: was not there`);
  }
}

async function each(
  context: CliContext,
  names: readonly string[],
  done: string,
  work: (client: ConnectClient, name: string) => Promise<void>,
): Promise<void> {
  const client = await clientOf(context);
  for (const name of names) {
    await work(client, name);
    context.print(`${name}: ${done}`);
  }
}
