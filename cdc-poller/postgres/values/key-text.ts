import type { ColumnType } from '../../encoding/column-type.ts';

/**
 * Of values that are equal to Postgres but have several texts, the one that event keys have: a row that is written once as 1.0 and once as 1.00 is one row,
 * and its events stay in one partition. Null where a type's equal values have one text. (Types of which no such text is known are refused as keys:
 * key-types.ts.)
 */
export function keyText({ name, modifier }: ColumnType): ((text: string) => string) | null {
  // With a declared scale, all values have its digits.
  if (name === 'numeric' && modifier < 0) return (text) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (name === 'float4' || name === 'float8') return (text) => (text === '-0' ? '0' : text);
  // char(n) is filled up to n; without a length, blanks at the end do not count.
  if (name === 'bpchar' && modifier < 0) return (text) => text.replace(/ +$/, '');
  return null;
}
