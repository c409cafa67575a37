import { formatTableId } from '#change-events/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { ConnectorConfig } from '../config-file.ts';
import type { LossVerdict } from '../state/loss.ts';
import type { ConnectClient } from '../rest/client.ts';
import { hasHeartbeat, unpublishedTables, unpublishedText } from '../postgres/facts/expectations.ts';
import { formatBytes } from '../postgres/lsn.ts';
import { isRefusal, withMariadb, type MariadbQuery, type MariadbSource } from './mariadb-source.ts';
import { binlogPositionOf, bytesAfter, formatPlace, judgeBinlogLoss, type BinlogFiles } from './position.ts';

/** How far behind a connector on a binlog is, and whether it can still catch up without loss. */
export type BinlogLag = {
  /** `binlog.000003:1234`; absent when it has none yet. */
  readonly position?: string;
  /** Where the server writes now; null where the role may not see it. */
  readonly head: string | null;
  /** Binlog after the position, in bytes; null where it is not known. */
  readonly behindBytes: number | null;
  /** How long the server keeps its binlog; 0: not ended by time; null: it does not say. Nothing keeps a file for a connector that is away. */
  readonly expireSeconds: number | null;
  readonly beatAgeMs: number | null;
  readonly loss: LossVerdict;
  /** Captured tables that the connector's user does not see: Debezium passes over them in silence. */
  readonly unpublished: readonly string[];
};

/** What a MariaDB says of its binlog and of the connector's heartbeat; `binlog` is null where the role may not see it. */
export type BinlogState = {
  readonly binlog: BinlogFiles | null;
  readonly expireSeconds: number | null;
  readonly beatAgeMs: number | null;
  readonly unseen: readonly string[];
};

export function readsBinlog(config: ConnectorConfig): boolean {
  return /\.(?:MariaDb|MySql)Connector$/.test(config['connector.class'] ?? '');
}

/** Changes nothing. @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED */
export async function readBinlogState(source: MariadbSource, config: ConnectorConfig): Promise<BinlogState> {
  return withMariadb(source, async (query) => ({
    binlog: await readFiles(query),
    expireSeconds: numberOf((await query("SHOW GLOBAL VARIABLES LIKE 'binlog_expire_logs_seconds'"))[0]?.[1]),
    beatAgeMs: await readBeatAge(query),
    unseen: unpublishedTables(config, await readVisible(query)),
  }));
}

/** @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED, CONNECT_* */
export async function readBinlogLag(
  client: ConnectClient,
  source: MariadbSource,
  name: string,
  config: ConnectorConfig,
  signal?: AbortSignal,
): Promise<BinlogLag> {
  // In this order; see judgeBinlogLoss.
  const position = binlogPositionOf(await client.offsets(name, signal));
  const { binlog, expireSeconds, beatAgeMs, unseen } = await readBinlogState(source, config);
  const last = binlog?.files.at(-1);
  return {
    ...(position === undefined ? {} : { position: formatPlace(position) }),
    head: last === undefined ? null : formatPlace({ file: last.name, pos: last.bytes }),
    behindBytes: binlog === null || position === undefined ? null : bytesAfter(position, binlog),
    expireSeconds,
    beatAgeMs: hasHeartbeat(config) ? beatAgeMs : null,
    loss: lossOf(position, binlog),
    unpublished: unseen,
  };
}

/** Never taken for well where it cannot be seen. */
export function lossOf(position: ReturnType<typeof binlogPositionOf>, binlog: BinlogFiles | null): LossVerdict {
  if (binlog !== null) return judgeBinlogLoss(position, binlog);
  return { kind: 'unknown', text: 'the binlog cannot be seen: log_bin is off, or the role lacks BINLOG MONITOR (REPLICATION CLIENT)' };
}

/** Lines for a person, to go under the connector's own. */
export function formatBinlogLag({ position, head, behindBytes, expireSeconds, beatAgeMs, loss, unpublished }: BinlogLag): string {
  const lines: string[] = [];
  if (unpublished.length > 0) lines.push(`  LOSS: ${unpublishedText(unpublished, null)}`);
  if (loss.kind === 'lost') lines.push(`  LOSS: ${loss.text}`);
  if (loss.kind === 'unknown') lines.push(`  binlog: unknown; ${loss.text}`);
  if (position === undefined) lines.push('  binlog: no position yet');
  else {
    const behind = behindBytes === null || behindBytes < 0 ? 'how far behind is unknown' : `${formatBytes(behindBytes)} behind`;
    lines.push(`  binlog: at ${position}, ${behind}${head === null ? '' : `, the server writes ${head}`}${keeps(expireSeconds)}`);
  }
  lines.push(beatAgeMs === null ? '  heartbeat: none to be read' : `  heartbeat: ${(beatAgeMs / 1000).toFixed(1)} s ago`);
  return lines.join('\n');
}

function keeps(expireSeconds: number | null): string {
  if (expireSeconds === null) return '';
  return expireSeconds === 0 ? ', files are not ended by time' : `, files are kept for ${(expireSeconds / 3600).toFixed(1)} h`;
}

/** Null where the role may not see them, or there are none. */
export async function readFiles(query: MariadbQuery): Promise<BinlogFiles | null> {
  try {
    const serverId = numberOf((await query('SELECT @@server_id'))[0]?.[0]);
    const rows = await query('SHOW BINARY LOGS');
    return { serverId: serverId ?? 0, files: rows.map(([name, bytes]) => ({ name: name ?? '', bytes: Number(bytes) })) };
  } catch (error) {
    if (isRefusal(error, 'ER_SPECIFIC_ACCESS_DENIED_ERROR', 'ER_NO_BINARY_LOGGING')) return null;
    throw unreadable(error);
  }
}

async function readVisible(query: MariadbQuery): Promise<ReadonlySet<string>> {
  const rows = await query('SELECT table_schema, table_name FROM information_schema.tables');
  return new Set(rows.map(([schema, table]) => formatTableId({ schema: schema ?? '', table: table ?? '' })));
}

async function readBeatAge(query: MariadbQuery): Promise<number | null> {
  try {
    const rows = await query('SELECT TIMESTAMPDIFF(MICROSECOND, beat_at, CURRENT_TIMESTAMP(6)) DIV 1000 FROM cdc.heartbeat WHERE id = 1');
    const age = numberOf(rows[0]?.[0]);
    return age === null ? null : Math.max(0, age);
  } catch (error) {
    if (isRefusal(error, 'ER_NO_SUCH_TABLE', 'ER_BAD_DB_ERROR', 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR')) return null;
    throw unreadable(error);
  }
}

function unreadable(error: unknown): CdcError {
  return new CdcError('LEGACY_DB_UNREACHABLE', 'the binlog state of the legacy database could not be read', { cause: error });
}

function numberOf(text: string | null | undefined): number | null {
  return text === null || text === undefined || text === '' ? null : Number(text);
}
