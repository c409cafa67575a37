import { formatBinlogLag, readBinlogLag, readsBinlog, type BinlogLag } from '../mariadb/lag.ts';
import { isMariadb, type Source } from '../mariadb/mariadb-source.ts';
import type { ConnectorConfig } from '../config-file.ts';
import { judgeLoss, positionOf, type LossVerdict } from './loss.ts';
import type { ConnectClient } from '../rest/client.ts';
import { formatBytes, formatLsn } from '../postgres/lsn.ts';
import { hasHeartbeat, publicationOf, unpublishedTables, unpublishedText } from '../postgres/facts/expectations.ts';
import { readSourceState, type SlotState } from '../postgres/facts/slot-state.ts';

/** How far behind a connector is, and whether it can still catch up without loss. */
export type Lag = {
  readonly slotName: string;
  readonly slot: SlotState | null;
  /** The connector's own position, `0/16B3748`; absent when it has none yet. */
  readonly position?: string;
  /** Since the connector last wrote its heartbeat into the source, in ms; null where there is no heartbeat to read. */
  readonly beatAgeMs: number | null;
  readonly loss: LossVerdict;
  /** Captured tables that the publication does not hold: nothing of them arrives, and nobody else says so. */
  readonly unpublished: readonly string[];
  readonly publication: string;
};

/**
 * Reads slot or binlog, heartbeat and position of a Debezium connector. Null for one that does not read this kind of source.
 *
 * @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED, CONNECT_*
 */
export async function readLag(
  client: ConnectClient,
  source: Source,
  name: string,
  config: ConnectorConfig,
  signal?: AbortSignal,
): Promise<Lag | BinlogLag | null> {
  if (isMariadb(source)) return readsBinlog(config) ? readBinlogLag(client, source, name, config, signal) : null;
  const slotName = config['slot.name'];
  if (slotName === undefined) return null;
  // In this order; see judgeLoss.
  const publication = publicationOf(config);
  const { slot, beatAgeMs, published } = await readSourceState(source, slotName, publication);
  const position = positionOf(await client.offsets(name, signal));
  return {
    slotName,
    slot,
    ...(position === undefined ? {} : { position: formatLsn(position) }),
    beatAgeMs: hasHeartbeat(config) ? beatAgeMs : null,
    loss: judgeLoss(slotName, slot, position),
    unpublished: unpublishedTables(config, published),
    publication,
  };
}

/** Lines for a person, to go under the connector's own. */
export function formatLag(lag: Lag | BinlogLag): string {
  if (!('slotName' in lag)) return formatBinlogLag(lag);
  const { slotName, slot, beatAgeMs, loss, unpublished, publication } = lag;
  const lines: string[] = [];
  if (unpublished.length > 0) lines.push(`  LOSS: ${unpublishedText(unpublished, publication)}`);
  if (loss.kind === 'lost') lines.push(`  LOSS: ${loss.text}`);
  if (loss.kind === 'unused') lines.push(`  slot ${slotName}: not made yet`);
  if (slot !== null) {
    const kept = slot.retainedBytes === null ? 'keeps no WAL' : `keeps ${formatBytes(slot.retainedBytes)} of WAL in the source`;
    const limit = slot.safeBytes === null ? '' : `, ${formatBytes(Math.max(0, slot.safeBytes))} before the server invalidates it`;
    const status = slot.walStatus === null || slot.walStatus === 'reserved' ? '' : `, ${slot.walStatus}`;
    lines.push(
      `  slot ${slotName}: ${slot.active ? 'in use' : 'not in use'}, ${kept}${limit}${status}, confirmed to ${slot.confirmedLsn ?? '?'}`,
    );
  }
  lines.push(beatAgeMs === null ? '  heartbeat: none to be read' : `  heartbeat: ${(beatAgeMs / 1000).toFixed(1)} s ago`);
  return lines.join('\n');
}
