import { formatTableId } from '#change-events/index.ts';
import type { PollerTableConfig } from '#pipeline/index.ts';
import type { ShapeFinding } from './unfit-codes.ts';
import { hidesRows } from '../table/relation-state.ts';
import type { CatalogTable } from '../table/catalog-table.ts';
import type { Words } from '../words.ts';

/** Whether a SELECT of the table gives its rows: all of them, and none of another table's. Pure. */
export function judgeRows(table: CatalogTable, config: PollerTableConfig, role: string, words: Words): readonly ShapeFinding[] {
  return [...judgeRowSecurity(table, config, role, words), ...judgeChildren(table, config)];
}

function judgeRowSecurity(table: CatalogTable, { table: name }: PollerTableConfig, role: string, words: Words): readonly ShapeFinding[] {
  if (table.relation === null || !hidesRows(table.relation)) return [];
  const policies = table.policies ?? [];
  const cause = policies.length === 0 ? 'it has no policy, so all are hidden' : `policies: ${policies.map((one) => one.name).join(', ')}`;
  const message = `row-level security of ${name} hides rows from role ${role} (${cause})`;
  const { id } = table;
  // What a restrictive policy takes away no other one gives back.
  if (policies.some(({ restrictive }) => restrictive)) {
    return [{ code: 'ROW_SECURITY', message, remedy: `ALTER ROLE ${words.role(role)} BYPASSRLS;`, who: 'superuser' }];
  }
  const policy = freeName(policies.map((one) => one.name));
  const sqlTable = `${words.name(id.schema)}.${words.name(id.table)}`;
  const remedy = `CREATE POLICY ${policy} ON ${sqlTable} FOR SELECT TO ${words.role(role)} USING (true);`;
  return [{ code: 'ROW_SECURITY', message, remedy, who: 'owner of the table' }];
}

function freeName(taken: readonly string[]): string {
  let name = 'cdc_read';
  for (let number = 2; taken.includes(name); number += 1) name = `cdc_read_${number}`;
  return name;
}

/** Rows of tables that inherit come with a SELECT of their parent, but neither its key nor its indexes hold for them. */
function judgeChildren({ children = [] }: CatalogTable, { table, only }: PollerTableConfig): readonly ShapeFinding[] {
  if (only || children.length === 0) return [];
  const names = children.map(formatTableId).join(', ');
  return [
    {
      code: 'TABLE_INHERITED',
      message: `${names} ${children.length > 1 ? 'inherit' : 'inherits'} from ${table}: a SELECT from it returns their rows too, and the same key may be in several of them`,
      remedy: `Set only: true for ${table}, and name ${names} in poller.tables too: each is polled as a table of its own.`,
    },
  ];
}
