import { escapeIdentifier } from 'pg';

/** Gives a whole number from 0 to `most`. */
export type Chance = (most: number) => number;

export type QueryColumn = { readonly name: string; readonly type: string };
export type QueryTable = { readonly name: string; readonly key: readonly string[]; readonly columns: readonly QueryColumn[] };

/** What can be named: as SQL. */
type Visible = { readonly sql: string; readonly type: string };
type Relation = { readonly sql: string; readonly columns: readonly Visible[] };
type Derived = { readonly sql: string; readonly columns: readonly QueryColumn[] };

/** Random queries over small tables, of every kind that a projection may be: each a text, and the columns of its key. */
export function randomQuery(chance: Chance, tables: readonly QueryTable[]): { readonly sql: string; readonly key: readonly string[] } {
  return new Maker(chance, tables).top();
}

class Maker {
  readonly #chance: Chance;
  readonly #tables: readonly QueryTable[];
  #count = 0;
  readonly #ctes = new Map<string, Derived>();
  /** Columns that a join's condition names. */
  readonly #joined = new Set<string>();

  constructor(chance: Chance, tables: readonly QueryTable[]) {
    this.#chance = chance;
    this.#tables = tables;
  }

  top(): { readonly sql: string; readonly key: readonly string[] } {
    const ctes: string[] = [];
    if (this.#once(4)) {
      const derived = this.#derived(1, []);
      // Now and then it hides a mirror.
      const name = this.#once(3) ? this.#pick(this.#tables).name : `with ${(this.#count += 1)}`;
      ctes.push(`${escapeIdentifier(name)} AS (${derived.sql})`);
      this.#ctes.set(name, derived);
    }
    const head = ctes.length > 0 ? `WITH ${ctes.join(', ')} ` : '';
    const from = this.#from(2, []);
    const columns = from.columns.filter(({ type }) => type !== 'other');
    // A key that is joined by reaches further than any other.
    const joined = columns.filter(({ sql }) => this.#joined.has(sql));
    const pick = (): Visible => this.#pick(joined.length > 0 && !this.#once(3) ? joined : columns);
    const keys = [pick(), ...(this.#once(3) ? [pick()] : [])];
    const names = keys.map((_, index) => `k${index}`);
    const listed = keys.map(({ sql }, index) => `${sql} AS k${index}`);
    const where = this.#where(from.columns, 2);
    if (this.#once(6)) return { sql: `${head}SELECT DISTINCT ${listed.join(', ')} FROM ${from.sql}${where}`, key: names };
    if (this.#once(8))
      return { sql: `${head}SELECT ${listed.join(', ')}, ${this.#pick(from.columns).sql} AS v FROM ${from.sql}${where}`, key: names };
    const scalar = this.#once(3) ? `, (${this.#scalar([...keys])}) AS s` : '';
    const having = this.#once(5) ? ' HAVING count(*) > 1' : '';
    const aggregates = this.#aggregates(from.columns).map((sql, index) => `${sql} AS a${index}`);
    return {
      sql: `${head}SELECT ${[...listed, ...aggregates].join(', ')}${scalar} FROM ${from.sql}${where} GROUP BY ${[...new Set(keys.map(({ sql }) => sql))].join(', ')}${having}`,
      key: names,
    };
  }

  #once(of: number): boolean {
    return this.#chance(of - 1) === 0;
  }

  #pick<T>(from: readonly T[]): T {
    const found = from[this.#chance(from.length - 1)];
    if (found === undefined) throw new TypeError('nothing to pick from');
    return found;
  }

  #alias(): string {
    // Names of mirrors among them, which the alias then hides.
    this.#count += 1;
    return this.#once(12) ? `${this.#pick(this.#tables).name} ${this.#count}` : `r${this.#count}`;
  }

  #constant(type: string): string {
    return type === 'integer'
      ? String(this.#chance(2))
      : type === 'text'
        ? this.#pick(["'a'", "'b'"])
        : "'00000000-0000-0000-0000-000000000001'::uuid";
  }

  #relation(depth: number, outer: readonly Visible[]): Relation {
    const alias = escapeIdentifier(this.#alias());
    const named = [...this.#ctes];
    if (named.length > 0 && this.#once(3)) {
      const [name, { columns }] = this.#pick(named);
      return { sql: `${escapeIdentifier(name)} AS ${alias}`, columns: columns.map((column) => visible(alias, column)) };
    }
    if (depth > 0 && this.#once(3)) {
      const lateral = outer.length > 0 && this.#once(2);
      const { sql, columns } = this.#derived(depth - 1, lateral ? outer : []);
      const renamed = columns.map((column, index) => ({ ...column, name: `n${index}` }));
      const list = this.#once(3) ? ` (${renamed.map(({ name }) => name).join(', ')})` : '';
      return {
        sql: `${lateral ? 'LATERAL ' : ''}(${sql}) AS ${alias}${list}`,
        columns: (list === '' ? columns : renamed).map((column) => visible(alias, column)),
      };
    }
    const free = this.#tables.filter(({ name }) => !this.#ctes.has(name));
    const table = this.#pick(free);
    return { sql: `${escapeIdentifier(table.name)} AS ${alias}`, columns: table.columns.map((column) => visible(alias, column)) };
  }

  #from(depth: number, outer: readonly Visible[]): Relation {
    let from = this.#relation(depth, outer);
    for (let more = this.#chance(depth > 1 ? 2 : 1); more > 0; more -= 1) {
      const type = this.#pick(['JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', ',']);
      const isLateral = type !== 'RIGHT JOIN' && type !== 'FULL JOIN';
      let right = this.#relation(depth, isLateral ? [...outer, ...from.columns] : outer);
      if (this.#once(5)) {
        const inner = this.#relation(0, []);
        const kind = this.#pick(['JOIN', 'LEFT JOIN', 'FULL JOIN']);
        const on = kind === 'FULL JOIN' ? this.#equality(right.columns, inner.columns) : this.#on(right.columns, inner.columns);
        right = { sql: `(${right.sql} ${kind} ${inner.sql} ON ${on})`, columns: [...right.columns, ...inner.columns] };
      }
      const columns = [...from.columns, ...right.columns];
      if (type === ',') from = { sql: `${from.sql} CROSS JOIN ${right.sql}`, columns };
      else {
        const on = type === 'FULL JOIN' ? this.#equality(from.columns, right.columns) : this.#on(from.columns, right.columns);
        from = { sql: `${from.sql} ${type} ${right.sql} ON ${on}`, columns };
      }
    }
    return from;
  }

  #equality(left: readonly Visible[], right: readonly Visible[]): string {
    const pairs = left.flatMap((a) => right.flatMap((b) => (a.type === b.type && a.type !== 'other' ? [[a.sql, b.sql] as const] : [])));
    if (pairs.length === 0) return 'true';
    const pair = this.#pick(pairs);
    for (const sql of pair) this.#joined.add(sql);
    return pair.join(' = ');
  }

  #on(left: readonly Visible[], right: readonly Visible[]): string {
    const parts = [this.#equality(left, right)];
    if (this.#once(4)) parts.push(this.#equality(left, right));
    if (this.#once(3)) parts.push(this.#condition([...left, ...right], 0));
    return parts.join(' AND ');
  }

  #condition(columns: readonly Visible[], depth: number): string {
    const comparable = columns.filter(({ type }) => type !== 'other');
    if (comparable.length === 0) return 'true';
    const a = this.#pick(comparable);
    const b = this.#pick(comparable.filter(({ type }) => type === a.type));
    const kinds = [
      () => `${a.sql} IS NULL`,
      () => `${a.sql} IS NOT NULL`,
      () => `${a.sql} = ${this.#constant(a.type)}`,
      () => `${a.sql} <> ${b.sql}`,
      () => `coalesce(${a.sql}, ${this.#constant(a.type)}) = ${b.sql}`,
      () => `(${this.#condition(columns, depth)} OR ${this.#condition(columns, depth)})`,
      () => `${a.sql} IS NOT DISTINCT FROM ${b.sql}`,
    ];
    if (depth > 0) {
      kinds.push(
        () => `EXISTS (${this.#correlated(columns, depth - 1, '')})`,
        () => `NOT EXISTS (${this.#correlated(columns, depth - 1, '')})`,
        () => this.#in(a, columns, depth - 1),
        () => `${a.sql} = (${this.#least(a.type, columns)})`,
      );
    }
    return this.#pick(kinds)();
  }

  #where(columns: readonly Visible[], depth: number): string {
    const parts = Array.from({ length: this.#chance(2) }, () => this.#condition(columns, depth));
    return parts.length === 0 ? '' : ` WHERE ${parts.join(' AND ')}`;
  }

  #correlated(outer: readonly Visible[], depth: number, output: string): string {
    const from = this.#from(depth, outer);
    const link = this.#equality(from.columns, outer);
    const more = this.#once(3) ? ` AND ${this.#condition([...from.columns, ...outer], depth)}` : '';
    return `SELECT ${output} FROM ${from.sql} WHERE ${link}${more}`;
  }

  #in(tested: Visible, outer: readonly Visible[], depth: number): string {
    const from = this.#from(depth, outer);
    const found = from.columns.filter(({ type }) => type === tested.type);
    if (found.length === 0) return 'true';
    return `${tested.sql} IN (SELECT ${this.#pick(found).sql} FROM ${from.sql}${this.#where([...from.columns, ...outer], 0)})`;
  }

  #least(type: string, outer: readonly Visible[]): string {
    const table = this.#pick(this.#tables.filter(({ name }) => !this.#ctes.has(name)));
    const alias = escapeIdentifier(this.#alias());
    const columns = table.columns.map((column) => visible(alias, column));
    const found = columns.filter((column) => column.type === type);
    const value = found.length === 0 ? this.#constant(type) : this.#pick(found).sql;
    return `SELECT ${type === 'uuid' ? `min(${value}::text)::uuid` : `min(${value})`} FROM ${escapeIdentifier(table.name)} AS ${alias} WHERE ${this.#equality(columns, outer)}`;
  }

  #scalar(outer: readonly Visible[]): string {
    return this.#correlated(outer, 1, 'count(*)');
  }

  #aggregates(columns: readonly Visible[]): string[] {
    return ['count(*)', ...Array.from({ length: 1 + this.#chance(2) }, () => this.#aggregate(this.#pick(columns)))];
  }

  #aggregate({ sql, type }: Visible): string {
    if (type === 'integer' && this.#once(2)) return `sum(${sql})`;
    return this.#once(2) ? `array_agg(${sql} ORDER BY ${sql})` : `count(DISTINCT ${sql})`;
  }

  /** A query within another one. */
  #derived(depth: number, outer: readonly Visible[]): Derived {
    const kind = this.#chance(9);
    if (kind === 0) return this.#set(depth, outer);
    const from = this.#from(depth, outer);
    const where = this.#where([...from.columns, ...outer], depth);
    const comparable = from.columns.filter(({ type }) => type !== 'other');
    const chosen = Array.from({ length: 1 + this.#chance(2) }, () => this.#pick(comparable.length === 0 ? from.columns : comparable));
    const columns = chosen.map(({ type }, index) => ({ name: `c${index}`, type }));
    const listed = chosen.map(({ sql }, index) => `${sql} AS c${index}`).join(', ');
    const all = [...new Set(chosen.map(({ sql }) => sql))].join(', ');
    if (kind <= 2) {
      const more = this.#aggregates(from.columns);
      const names = more.map((sql, index) => `${sql} AS g${index}`);
      return {
        sql: `SELECT ${listed}, ${names.join(', ')} FROM ${from.sql}${where} GROUP BY ${all}`,
        columns: [...columns, ...more.map((_, index) => ({ name: `g${index}`, type: 'other' }))],
      };
    }
    if (kind === 3) return { sql: `SELECT DISTINCT ${listed} FROM ${from.sql}${where}`, columns };
    if (kind === 4) {
      const offset = this.#once(3) ? ' OFFSET 1' : '';
      return { sql: `SELECT ${listed} FROM ${from.sql}${where} ORDER BY ${all} LIMIT ${1 + this.#chance(1)}${offset}`, columns };
    }
    if (kind === 5) return { sql: `SELECT count(*)::integer AS c0, ${this.#aggregate(this.#pick(from.columns))} AS c1 FROM ${from.sql}${where}`, columns: [{ name: 'c0', type: 'integer' }, { name: 'c1', type: 'other' }] }; // prettier-ignore
    if (kind === 6) {
      const [first] = chosen;
      return {
        sql: `SELECT ${listed}, row_number() OVER (PARTITION BY ${first?.sql ?? ''} ORDER BY ${all})::integer AS n FROM ${from.sql}${where}`,
        columns: [...columns, { name: 'n', type: 'integer' }],
      };
    }
    if (kind === 7 && chosen.length > 1) {
      const [first] = chosen;
      return { sql: `SELECT DISTINCT ON (${first?.sql ?? ''}) ${listed} FROM ${from.sql}${where} ORDER BY ${all}`, columns };
    }
    return { sql: `SELECT ${listed} FROM ${from.sql}${where}`, columns };
  }

  #set(depth: number, outer: readonly Visible[]): Derived {
    const types = Array.from({ length: 1 + this.#chance(1) }, () => this.#pick(['integer', 'text']));
    const branch = (): string => {
      const from = this.#from(Math.min(depth, 1), outer);
      const values = types.map((type, index) => {
        const fitting = from.columns.filter((column) => column.type === type);
        return `${fitting.length === 0 ? this.#constant(type) : this.#pick(fitting).sql} AS c${index}`;
      });
      return `SELECT ${values.join(', ')} FROM ${from.sql}${this.#where([...from.columns, ...outer], 0)}`;
    };
    const operation = this.#pick(['UNION ALL', 'UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT', 'EXCEPT ALL']);
    return { sql: `${branch()} ${operation} ${branch()}`, columns: types.map((type, index) => ({ name: `c${index}`, type })) };
  }
}

function visible(alias: string, { name, type }: QueryColumn): Visible {
  return { sql: `${alias}.${escapeIdentifier(name)}`, type };
}
