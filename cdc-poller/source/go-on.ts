import type { PollerTableConfig } from '#pipeline/index.ts';
import { adoptPosition } from '../position/adopt.ts';
import type { Position } from '../position/position.ts';
import type { ServerIdentity, SourceSession } from './dialect.ts';
import type { TableShape } from './table/table-shape.ts';
import { refuseOtherRows } from './witness.ts';

/**
 * The position to go on from in the table as it is now, null to load it. Looks at the server too: for the rows that were published last.
 *
 * @param identity read after the position: a server whose past was read before it would seem to be behind
 * @throws CdcError SOURCE_CHANGED, TABLE_CHANGED
 */
export async function goOnFrom(
  position: Position | null,
  session: SourceSession,
  identity: ServerIdentity,
  shape: TableShape,
  { table, onRewrite }: PollerTableConfig,
): Promise<Position | null> {
  const { basis, relation, nextId } = shape;
  const rescanRewritten = (onRewrite ?? (shape.capture === 'id' ? 'rescan' : 'ignore')) === 'rescan';
  const adopted = adoptPosition(position, { ...identity, table, basis, relation, rescanRewritten, nextId });
  if (shape.hasWitness && adopted !== null && adopted.relation?.oid === position?.relation?.oid) {
    await refuseOtherRows(session, shape, adopted, table);
  }
  return adopted;
}
