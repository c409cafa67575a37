import type { Client, ClientConfig } from 'pg';
import { CdcError } from '#pipeline/index.ts';
import { askUntil } from '../register/wait.ts';
import { withSource } from './facts/slot-state.ts';

/**
 * Drops a replication slot; false when there is none of that name. Waits for its walsender to let go (a connector that was just
 * deleted does so within a second or two). `config` is any role with REPLICATION, for instance the replicator.
 *
 * @throws CdcError SLOT_BUSY when it stays in use for `timeoutMs`; LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED
 */
export async function dropSlot(config: ClientConfig, slot: string, timeoutMs = 15_000, signal?: AbortSignal): Promise<boolean> {
  return withSource(config, async (client) => {
    const dropped = await askUntil(
      async () => {
        const { rows } = await client.query<{ active: boolean }>('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [slot]);
        const [found] = rows;
        if (found === undefined) return 'absent';
        if (found.active) return undefined;
        return (await tryDrop(client, slot)) ? 'dropped' : undefined;
      },
      { timeoutMs, signal },
    );
    if (dropped === null) throw new CdcError('SLOT_BUSY', `replication slot ${slot} is still in use after ${timeoutMs / 1000} s`);
    return dropped === 'dropped';
  });
}

/**
 * Ends the walsender that serves a slot, if there is one. A role may end its own connections, so the replicator may do this; its
 * connector, where it still runs, connects again.
 */
export async function endWalsender(config: ClientConfig, slot: string): Promise<void> {
  await withSource(config, async (client) => {
    await client.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active', [slot]);
  });
}

/** False when a walsender took the slot between the look and the drop (object_in_use). */
async function tryDrop(client: Client, slot: string): Promise<boolean> {
  try {
    await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === '55006') return false;
    throw error;
  }
}
