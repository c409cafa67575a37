import { CdcError } from '#pipeline/index.ts';
import type { ConnectClient } from './rest/client.ts';
import { askUntil } from './wait.ts';

/**
 * Deletes a connector and waits until Connect has forgotten it. Its topics, its offsets and its replication slot stay: dropSlot drops
 * the last, without which the source keeps WAL for it for ever.
 *
 * @throws CdcError CONNECTOR_NOT_FOUND, CONNECT_*; CONNECTOR_FAILED when it is still there after 30 s
 */
export async function deleteConnector(client: ConnectClient, name: string, signal?: AbortSignal): Promise<void> {
  await client.delete(name, signal);
  const gone = await askUntil(async () => ((await client.config(name, signal)) === null ? true : undefined), { timeoutMs: 30_000, signal });
  if (gone === null) throw new CdcError('CONNECTOR_FAILED', `connector ${name} is still there 30 s after it was deleted`);
}
