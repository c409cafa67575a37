import { queryText, text, type Database } from '../../database.ts';
import { deletedColumn, lsnColumn } from '../../mirrors/own-columns.ts';
import type { FunctionKind, ModelTables } from './binder.ts';
import type { ModelTable } from './query-model.ts';

/** What the database knows of the mirrors and of functions, for the derivation. */

/** The mirrors of the schema that the search path begins with. */
export async function readTables(database: Database): Promise<ModelTables> {
  const columns = await queryText(
    database,
    `SELECT m.mirror_table, a.attname, format_type(a.atttypid, -1)
       FROM mirrored_tables m
       JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.%I', current_schema(), m.mirror_table)) AND a.attnum > 0 AND NOT a.attisdropped
      ORDER BY m.mirror_table, a.attnum`,
  );
  const indexes = await queryText(
    database,
    `SELECT m.mirror_table, i.indisprimary, i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL, i.indpred IS NULL,
            array_to_json(ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                                  LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                                 WHERE k.place <= i.indnkeyatts ORDER BY k.place))
       FROM mirrored_tables m
       JOIN pg_index i ON i.indrelid = to_regclass(format('%I.%I', current_schema(), m.mirror_table)) AND i.indisvalid`,
  );
  const tables = new Map<string, ModelTable>();
  for (const [name, rows] of Map.groupBy(columns, (row) => text(row, 0))) {
    const own = indexes
      .filter((row) => row[0] === name)
      .map((row) => ({ primary: row[1] === 't', unique: row[2] === 't', whole: row[3] === 't', names: columnNames(text(row, 4)) }));
    tables.set(name, {
      name,
      columns: rows.map((row) => ({ name: text(row, 1), type: text(row, 2) })),
      key: own.find(({ primary }) => primary)?.names ?? [],
      unique: own.filter(({ unique }) => unique).map(({ names }) => names),
      indexed: new Set(own.flatMap(({ whole, names: [first] }) => (whole && first !== undefined ? [first] : []))),
      hidden: new Set([lsnColumn, deletedColumn]),
    });
  }
  return tables;
}

function columnNames(json: string): readonly string[] {
  const parsed: unknown = JSON.parse(json);
  return Array.isArray(parsed) ? parsed.flatMap((name: unknown) => (typeof name === 'string' ? [name] : [])) : [];
}

export type KnownFunction = {
  readonly schema: string;
  /** Whether its name means it without a schema. */
  readonly inPath: boolean;
  readonly name: string;
  readonly kind: FunctionKind;
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  readonly leastArguments: number;
  readonly mostArguments: number;
};

/** Every function of these names, whatever its schema and arguments. */
export async function readFunctions(database: Database, names: readonly string[]): Promise<readonly KnownFunction[]> {
  const rows = await queryText(
    database,
    `SELECT n.nspname, p.proname, p.prokind, p.provolatile, p.proretset, p.pronargs - p.pronargdefaults, p.pronargs, p.provariadic <> 0, n.nspname IN ('pg_catalog', current_schema())
       FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = ANY ($1::name[])`,
    [[...names]],
  );
  return rows.map((row) => ({
    schema: text(row, 0),
    inPath: row[8] === 't',
    name: text(row, 1),
    kind: row[2] === 'a' ? 'aggregate' : row[2] === 'w' ? 'window' : row[4] === 't' ? 'set' : 'plain',
    volatility: row[3] === 'v' ? 'volatile' : row[3] === 's' ? 'stable' : 'immutable',
    leastArguments: row[7] === 't' ? Number(row[6]) - 1 : Number(row[5]),
    mostArguments: row[7] === 't' ? Number.POSITIVE_INFINITY : Number(row[6]),
  }));
}

/** What a function of this name is. Of several, the one that asks for most care. */
export function kindOf(functions: readonly KnownFunction[], name: readonly string[]): FunctionKind {
  const schema = name.length > 1 ? name.at(-2) : undefined;
  const kinds = new Set(
    functions
      .filter((one) => one.name === name.at(-1) && (schema === undefined ? one.inPath : one.schema === schema))
      .map(({ kind }) => kind),
  );
  return (['aggregate', 'window', 'set'] as const).find((kind) => kinds.has(kind)) ?? 'plain';
}
