import { CdcError } from '#pipeline/index.ts';
import { isMariadb } from '../mariadb/mariadb-source.ts';
import { stopAndWait } from '../state/offsets.ts';
import { dropSlot, endWalsender } from '../postgres/slot.ts';
import type { Guarded } from './observe.ts';

const stopMs = 15_000;
const attempts = 5;

/**
 * Drops the slot to save the source's disk: stops the connector first, so that it neither uses the slot nor makes it again; when Connect
 * does not answer, ends the connection that uses it. False when it was gone already.
 *
 * @throws CdcError SLOT_BUSY, LEGACY_*
 */
export async function dropSlotByForce({ name, client, source }: Guarded, slot: string, signal: AbortSignal): Promise<boolean> {
  if (isMariadb(source)) return false;
  try {
    await stopAndWait(client, name, { timeoutMs: stopMs, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof CdcError)) throw error;
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await dropSlot(source, slot, 2000, signal);
    } catch (error) {
      if (!(error instanceof CdcError) || error.code !== 'SLOT_BUSY' || attempt === attempts) throw error;
      await endWalsender(source, slot);
    }
  }
}
