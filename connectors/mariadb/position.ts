import * as z from 'zod';
import type { LossVerdict } from '../state/loss.ts';
import type { Move } from '../state/loss.ts';
import type { ConnectorOffsets } from '../rest/schemas.ts';

/** A place in a server's binlog: its file and the byte in it. */
export type BinlogPlace = { readonly file: string; readonly pos: number };

/** How far a connector has come, and on which server: places of another server mean nothing. */
export type BinlogPosition = BinlogPlace & { readonly serverId?: number | undefined };

/** The files that a server still has, oldest first, and who it is. */
export type BinlogFiles = { readonly serverId: number; readonly files: readonly { readonly name: string; readonly bytes: number }[] };

const positionSchema = z.object({ file: z.string().min(1), pos: z.number(), server_id: z.number().optional() });

const gtidsSchema = z.object({ gtids: z.string().transform((text) => text.split(',').map(parseGtid)) });

/** How far a Debezium MariaDB or MySQL connector is, by its offsets. */
export function binlogPositionOf(offsets: ConnectorOffsets): BinlogPosition | undefined {
  for (const { offset } of offsets) {
    const found = positionSchema.safeParse(offset);
    if (found.success) return { file: found.data.file, pos: found.data.pos, serverId: found.data.server_id };
  }
  return undefined;
}

/**
 * Whether a connector has read the whole transaction of this GTID (`0-1-757`: domain, server, number). Its position names, for each
 * domain, the last transaction that it has read to the end.
 */
export function hasRead(offsets: ConnectorOffsets, gtid: string): boolean {
  const wanted = parseGtid(gtid);
  return offsets.some(({ offset }) => {
    const { data } = gtidsSchema.safeParse(offset);
    return data?.gtids.some(({ domain, number }) => domain === wanted.domain && number >= wanted.number) ?? false;
  });
}

export function formatPlace({ file, pos }: BinlogPlace): string {
  return `${file}:${pos}`;
}

/** Bytes of binlog after `position`; null where it is not among the server's files. */
export function bytesAfter(position: BinlogPlace, { files }: BinlogFiles): number | null {
  const at = files.findIndex(({ name }) => name === position.file);
  if (at === -1) return null;
  return files.slice(at).reduce((sum, { bytes }) => sum + bytes, -position.pos);
}

/** Whether the server still has everything after the position; pure. Read the position **before** the files: files are only ever removed. */
export function judgeBinlogLoss(position: BinlogPosition | undefined, binlog: BinlogFiles): LossVerdict {
  if (position === undefined) return { kind: 'unused' };
  const { serverId } = position;
  // The snapshot's position names no server, and is of the one that it was read from.
  if (serverId !== undefined && serverId !== 0 && serverId !== binlog.serverId) {
    return {
      kind: 'unknown',
      text: `the position is of server_id ${serverId}, and this is ${binlog.serverId}: whether it has what follows (by GTID) only the connector finds out`,
    };
  }
  const after = bytesAfter(position, binlog);
  const since = `the changes after ${formatPlace(position)} are lost`;
  if (after === null) {
    return {
      kind: 'lost',
      reason: 'purged',
      text: `the server has no binlog file ${position.file} any more (purged, or RESET MASTER): ${since}`,
    };
  }
  if (after < 0)
    return {
      kind: 'lost',
      reason: 'purged',
      text: `the server's binlog ends before the position (RESET MASTER, or a backup put back): ${since}`,
    };
  return { kind: 'none' };
}

/** What going from `current` to `wanted` would do; pure. */
export function judgeBinlogMove(current: BinlogPlace | undefined, wanted: BinlogPlace | undefined, binlog: BinlogFiles | null): Move {
  if (wanted === undefined || binlog === null) return { kind: 'unknown' };
  const left = bytesAfter(wanted, binlog);
  if (left === null || left < 0) return { kind: 'not-in-log', place: formatPlace(wanted) };
  const now = current === undefined ? null : bytesAfter(current, binlog);
  if (now === null) return { kind: 'unknown' };
  if (now === left) return { kind: 'none' };
  return left > now ? { kind: 'back', repeated: BigInt(left - now) } : { kind: 'forward', skipped: BigInt(now - left) };
}

function parseGtid(text: string): { readonly domain: string; readonly number: bigint } {
  const [, domain = '', number = '0'] = /^\s*(\d+)-\d+-(\d+)\s*$/.exec(text) ?? [];
  return { domain, number: BigInt(number) };
}
