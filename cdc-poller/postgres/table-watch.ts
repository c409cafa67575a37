import type { TableShape } from '../source/table/table-shape.ts';
import { drawnSql, ofRelationSql, relationStateSql } from './relation-state.ts';
import { formatRelationState } from '../source/table/relation-state.ts';
import { TableReshaped } from '../source/table/table-reshaped.ts';

/** What every observation of a table asks besides: an SQL scalar. */
export function watchSql({ relation, id, sequence }: TableShape): string {
  if (relation === null) return 'NULL';
  const state = ofRelationSql(id, relationStateSql);
  return sequence === null ? state : `concat_ws(' ', ${state}, ${drawnSql(sequence)})`;
}

/**
 * How far the table's sequence is, null where it cannot be asked.
 *
 * @throws TableReshaped
 */
export function readWatch({ relation }: TableShape, watched: string | null): bigint | null {
  if (relation === null) return null;
  const [state, drawn] = (watched ?? '').split(' ');
  if (state !== formatRelationState(relation)) throw new TableReshaped();
  return drawn === undefined || drawn === '' ? null : BigInt(drawn);
}
