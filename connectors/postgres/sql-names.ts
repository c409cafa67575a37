import { escapeLiteral } from 'pg';
import { postgresName } from '#pipeline/index.ts';

/** A name for SQL that a person reads: quoted only where it must be. */
export function sqlName(name: string): string {
  return postgresName(name);
}

export function sqlTable({ schema, table }: { readonly schema: string; readonly table: string }): string {
  return `${sqlName(schema)}.${sqlName(table)}`;
}

export function sqlText(text: string): string {
  return escapeLiteral(text);
}

/** 4 s, 3 min, 2 h, 5 days. */
export function ageText(seconds: number): string {
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}
