import { CdcError } from '#pipeline/index.ts';
import { stopAndWait } from '../state/offsets.ts';
import type { ConnectClient } from '../rest/client.ts';
import { askUntil } from './wait.ts';

const limitMs = 30_000;

/**
 * Deletes a connector and waits until Connect has forgotten it. Its topics and its replication slot stay: dropSlot drops the latter,
 * without which the source keeps WAL for it for ever. With `forgetPosition` its offsets go too: to be used when the slot goes, since a
 * connector of the same name would else start from a position that no slot holds, and fail.
 *
 * @throws CdcError CONNECTOR_NOT_FOUND, CONNECT_*; CONNECTOR_FAILED when it is still there after 30 s
 */
export async function deleteConnector(
  client: ConnectClient,
  name: string,
  signal?: AbortSignal,
  options: { readonly forgetPosition?: boolean } = {},
): Promise<void> {
  if (options.forgetPosition === true) {
    await stopAndWait(client, name, { timeoutMs: limitMs, signal });
    await client.deleteOffsets(name, signal);
  }
  await client.delete(name, signal);
  const gone = await askUntil(async () => ((await client.config(name, signal)) === null ? true : undefined), {
    timeoutMs: limitMs,
    signal,
  });
  if (gone === null) throw new CdcError('CONNECTOR_FAILED', `connector ${name} is still there ${limitMs / 1000} s after it was deleted`);
}
