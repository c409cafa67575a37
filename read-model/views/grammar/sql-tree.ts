import { setFlagsFromString } from 'node:v8';
import type { Node, ParseResult, SelectStmt } from '@pgsql/types';
import type { Deparser } from 'pgsql-deparser';

/**
 * Postgres' own grammar, and the way back from a tree to SQL. Both are loaded when the first projection is read: a program without any
 * never pays for them.
 */
export type Grammar = {
  /** @throws SyntaxProblem with the place */
  readonly parse: (sql: string) => ParseResult;
  /** SQL that was seen to parse to the same tree; null when there is none: nothing is run that says something else. */
  readonly write: (node: Node) => string | null;
};

/** What Postgres' grammar says of a text, and where: characters from its beginning. */
export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem';
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

let loaded: Promise<Grammar> | undefined;

export function loadGrammar(): Promise<Grammar> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Grammar> {
  // V8 would optimise the grammar's largest functions after some hundred statements, which takes half a gigabyte for seconds: more than a
  // container may have, for work that is over sooner without it.
  for (const flag of ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag);
  const [parser, deparser] = await Promise.all([import('libpg-query'), import('pgsql-deparser')]);
  await parser.loadModule();
  const parse = (sql: string): ParseResult => {
    try {
      return parser.parseSync(sql);
    } catch (error) {
      if (!parser.hasSqlDetails(error)) throw error;
      throw new SyntaxProblem(error.message, error.sqlDetails?.cursorPosition ?? 0);
    }
  };
  return { parse, write: (node) => write(parse, deparser.Deparser, node) };
}

function write(parse: Grammar['parse'], deparser: typeof Deparser, node: Node): string | null {
  const statement = 'SelectStmt' in node;
  const sql = deparser.deparse(node, { pretty: false });
  try {
    const back = parse(statement ? sql : `SELECT ${sql}`).stmts?.[0]?.stmt;
    const again = statement ? back : firstValue(back);
    return again !== undefined && plain(again) === plain(node) ? sql : null;
  } catch (error) {
    if (error instanceof SyntaxProblem) return null;
    throw error;
  }
}

function firstValue(node: Node | undefined): Node | undefined {
  const [target] = node !== undefined && 'SelectStmt' in node ? (node.SelectStmt.targetList ?? []) : [];
  return target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
}

/** A tree without the places of its pieces, as text: equal for trees that say the same. */
export function plain(node: unknown): string {
  return JSON.stringify(node, (key, value: unknown) => {
    if (places.has(key)) return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}

const places: ReadonlySet<string> = new Set([
  'location',
  'rexpr_list_start',
  'rexpr_list_end',
  'list_start',
  'list_end',
  'stmt_len',
  'name_location',
]);

/** Whether an object of a tree is a node: one member, whose name says what it is. */
function isNode(value: unknown): value is Node {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const [name, ...more] = Object.keys(value);
  return name !== undefined && more.length === 0 && /^[A-Z]/.test(name);
}

/** Calls `each` for every node of a tree, from outside inwards; where it gives false, what is inside is left out. */
export function walk(tree: unknown, each: (node: Node) => boolean): void {
  if (typeof tree !== 'object' || tree === null) return;
  if (isNode(tree) && !each(tree)) return;
  for (const inner of Object.values(tree)) walk(inner, each);
}

/** Makes `node` another one, for all that hold it. */
export function replace(node: Node, by: Node): void {
  for (const name of Object.keys(node)) Reflect.deleteProperty(node, name);
  Object.assign(node, by);
}

/** The texts of names: of a function, an operator, a USING clause. */
export function names(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []));
}

export function columnRef(...fields: readonly string[]): Node {
  return { ColumnRef: { fields: fields.map((sval) => ({ String: { sval } })) } };
}

/** The statement's one SELECT (or VALUES); undefined for any other statement. */
export function selectOf(node: Node | undefined): SelectStmt | undefined {
  return node !== undefined && 'SelectStmt' in node ? node.SelectStmt : undefined;
}
