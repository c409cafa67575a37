import type { Node } from '@pgsql/types';
import type { Problem } from '../derive/binder.ts';
import type { KnownFunction } from '../derive/catalogue.ts';
import { names, walk } from './sql-tree.ts';

/**
 * What a projection may not hold, whatever is derived: values that are other ones each time (a row would be what it was when it was
 * touched last), and what is no reading.
 */

/** Of pg_catalog, though not volatile: they depend on the time, the session or tables that have no events. */
const ofTheMoment: ReadonlySet<string> = new Set(
  `now transaction_timestamp statement_timestamp current_setting current_database current_schema current_schemas current_query pg_current_xact_id
  pg_current_xact_id_if_assigned pg_current_snapshot txid_current txid_current_if_assigned txid_current_snapshot pg_backend_pid pg_conf_load_time
  pg_postmaster_start_time pg_is_in_recovery inet_client_addr inet_client_port inet_server_addr inet_server_port pg_my_temp_schema pg_trigger_depth
  table_to_xml table_to_xmlschema schema_to_xml database_to_xml cursor_to_xml query_to_xml query_to_xml_and_xmlschema`.split(/\s+/),
);
/** Texts that mean another time each day, as a date or timestamp. */
const movingTimes: ReadonlySet<string> = new Set(['now', 'today', 'tomorrow', 'yesterday']);

/** The functions that a tree calls. */
export function functionNames(tree: unknown): readonly string[] {
  const found: string[] = [];
  walk(tree, (node) => {
    if ('FuncCall' in node) found.push(names(node.FuncCall.funcname).at(-1) ?? '');
    return true;
  });
  return found;
}

export function refusedIn(tree: unknown, functions: readonly KnownFunction[]): readonly Problem[] {
  const problems: Problem[] = [];
  const refuse = (at: number | undefined, text: string): void => void problems.push({ at: at ?? 0, text });
  walk(tree, (node) => {
    if ('FuncCall' in node) {
      const text = refusedCall(names(node.FuncCall.funcname), node.FuncCall.args?.length ?? 0, functions);
      if (text !== null) refuse(node.FuncCall.location, text);
    } else if ('SQLValueFunction' in node) {
      const name = (node.SQLValueFunction.op ?? '').replace('SVFOP_', '').replace(/_N$/, '').toLowerCase();
      refuse(node.SQLValueFunction.location, `${name} is another value each time: compare with the time where the view is read`);
    } else if ('ParamRef' in node) {
      refuse(node.ParamRef.location, `$${node.ParamRef.number ?? ''}: a projection has no parameters`);
    } else if ('TypeCast' in node) {
      const value = node.TypeCast.arg !== undefined && 'A_Const' in node.TypeCast.arg ? node.TypeCast.arg.A_Const.sval?.sval : undefined;
      const type = names(node.TypeCast.typeName?.names).at(-1) ?? '';
      if (value !== undefined && /^(?:date|time)/.test(type) && movingTimes.has(value.trim().toLowerCase())) {
        refuse(node.TypeCast.location, `'${value}' is another time each day: compare with the time where the view is read`);
      }
    } else if ('BoolExpr' in node && node.BoolExpr.boolop === 'NOT_EXPR') {
      const [negated] = node.BoolExpr.args ?? [];
      if (isIn(negated)) refuse(node.BoolExpr.location, 'NOT IN (SELECT …): use NOT EXISTS, which also does not turn on a single null');
    } else if ('SelectStmt' in node) refuseClauses(node, refuse);
    return true;
  });
  return problems;
}

function refuseClauses(node: Node & { readonly SelectStmt: object }, refuse: (at: number | undefined, text: string) => void): void {
  if ('lockingClause' in node.SelectStmt) refuse(0, 'FOR UPDATE and FOR SHARE: a projection only reads');
  if ('intoClause' in node.SelectStmt) refuse(0, 'SELECT INTO: the table is made by cdc read-model migrate');
}

function isIn(node: Node | undefined): boolean {
  return node !== undefined && 'SubLink' in node && node.SubLink.subLinkType === 'ANY_SUBLINK' && node.SubLink.operName === undefined;
}

function refusedCall(name: readonly string[], count: number, functions: readonly KnownFunction[]): string | null {
  const last = name.at(-1) ?? '';
  const schema = name.length > 1 ? name.at(-2) : undefined;
  const candidates = functions.filter(
    (one) =>
      one.name === last &&
      (schema === undefined ? one.inPath : one.schema === schema) &&
      (one.kind !== 'plain' || (one.leastArguments <= count && count <= one.mostArguments)),
  );
  if (candidates.some(({ volatility }) => volatility === 'volatile')) return `${last}() is volatile: it may give another value each time`;
  const builtIn = candidates.some((one) => one.schema === 'pg_catalog');
  // age of one date is its age today.
  if (builtIn && (ofTheMoment.has(last) || (last === 'age' && count === 1))) {
    return `${last}() is another value each time: compare with the time where the view is read`;
  }
  const unsure = candidates.find((one) => one.schema !== 'pg_catalog' && one.volatility !== 'immutable');
  return unsure === undefined ? null : `${unsure.schema}.${last}() is not IMMUTABLE: it may read tables that have no events`;
}
