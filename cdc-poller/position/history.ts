import { CdcError } from '#pipeline/index.ts';
import { isWindow, type Position } from './position.ts';

/** What a server says of its own past. */
export type ServerHistory = {
  readonly systemIdentifier: string;
  readonly timeline: string;
  /** How far the server's log is; null where the server does not say. */
  readonly log: string | null;
  /** The transaction id that the server gives next; null where there are none. */
  readonly nextXid: bigint | null;
};

/**
 * Refuses a server that is not the one that the position was made with, or that has gone back behind what the position has seen: a backup that was put
 * back has the identity of the server it was made of. What it then gives to new rows, transaction ids and places in its log, it has given before. Pure.
 *
 * @throws CdcError SOURCE_CHANGED
 */
export function refuseOtherHistory(position: Position, is: ServerHistory & { readonly table: string }): void {
  const whose = `the position of table ${is.table}`;
  const refuse = (what: string): never => {
    throw new CdcError('SOURCE_CHANGED', `${whose} ${what}`);
  };
  if (position.systemIdentifier !== is.systemIdentifier || position.timeline !== is.timeline) {
    const was = `system identifier ${position.systemIdentifier}, timeline ${position.timeline}`;
    refuse(`belongs to ${was}; the server is system identifier ${is.systemIdentifier}, timeline ${is.timeline}`);
  }
  if (isBehind(is.log, position.log)) refuse(`is at ${position.log} of the server's log, which has gone back to ${is.log}`);
  const seen = highestXid(position);
  if (is.nextXid !== null && seen > is.nextXid) {
    refuse(`has seen the server's transactions up to ${seen}, and the next one that the server begins is ${is.nextXid}`);
  }
}

/** No transaction below it was open any more when the position was made: a server that goes on gives higher ids. */
function highestXid({ basis, horizon, pass, repair, swept, witness }: Position): bigint {
  const times = isWindow(basis?.capture ?? 'time');
  const xids = times ? [] : [horizon, pass?.horizon, pass?.nextHorizon, repair?.horizon, repair?.gate, swept, witness?.below];
  return xids.reduce<bigint>((highest, xid) => (xid !== null && xid !== undefined && xid > highest ? xid : highest), 0n);
}

/**
 * Whether a log has lost something that it had. Postgres has one place in its log (`0/16B3748`); MariaDB's binlog has a sequence for each writer
 * (`domain-server-sequence,…`), and InnoDB's own log (`innodb-…`). A part that is not there any more says nothing: binlogs may be reset.
 */
function isBehind(is: string | null, was: string | null): boolean {
  const before = placesOf(was);
  return [...placesOf(is)].some(([writer, place]) => place < (before.get(writer) ?? 0n));
}

function placesOf(log: string | null): ReadonlyMap<string, bigint> {
  const lsn = /^(?<high>[0-9A-F]+)\/(?<low>[0-9A-F]+)$/i.exec(log ?? '')?.groups;
  if (lsn !== undefined) return new Map([['lsn', (BigInt(`0x${lsn['high']}`) << 32n) + BigInt(`0x${lsn['low']}`)]]);
  const parts = (log ?? '').matchAll(/(?<writer>\d+-\d+|innodb)-(?<sequence>\d+)/g);
  return new Map([...parts].map(({ groups = {} }) => [groups['writer'] ?? '', BigInt(groups['sequence'] ?? '0')]));
}
