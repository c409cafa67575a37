import { formatTableId } from '#change-events/index.ts';
import { finding, type Finding } from '../../finding.ts';
import type { Viewer } from '../probe/session.ts';
import type { TableFacts } from '../probe/tables.ts';
import { sqlName, sqlTable } from '#connectors/postgres/sql-names.ts';

const unpublishable = { v: 'a view', m: 'a materialised view', f: 'a foreign table' } as const;

/**
 * Is there such a table, and may the role read all of it? `columns` are those that it needs (undefined: all), `setting` is where the
 * table is named. Pure.
 */
export function judgeAccess(
  { id, found, similar }: TableFacts,
  { strategy, role, database }: Viewer,
  setting: string,
  columns?: readonly string[],
): readonly Finding[] {
  const table = formatTableId(id);
  const subject = { kind: 'table', name: table, table } as const;
  if (found === null) {
    const hint = similar.length > 0 ? ` Was ${similar.join(' or ')} meant?` : '';
    return [finding('TABLE_UNKNOWN', strategy, subject, { database, hint, setting })];
  }
  const { kind } = found;
  if (strategy === 'log' && kind !== 'r' && kind !== 'p') {
    return [finding('TABLE_KIND', strategy, subject, { kind: unpublishable[kind], setting })];
  }
  const findings: Finding[] = [];
  const sqlRole = sqlName(role);
  if (!found.mayUseSchema) findings.push(finding('SCHEMA_USAGE_MISSING', strategy, subject, { role, sqlRole, schema: sqlName(id.schema) }));
  const needed = found.columns.filter(({ name }) => columns === undefined || columns.includes(name));
  if (!found.maySelect && !needed.every(({ readable }) => readable)) {
    const isPart = needed.length < found.columns.length;
    const sqlColumns = isPart ? ` (${[...needed.map(({ name }) => sqlName(name)), 'xmin'].join(', ')})` : '';
    findings.push(finding('SELECT_MISSING', strategy, subject, { role, sqlRole, sqlTable: sqlTable(id), sqlColumns }));
  }
  if (found.rowSecurityApplies) {
    const policies = found.policies.join(', ') || 'none, so every row is hidden';
    findings.push(finding('ROW_SECURITY', strategy, subject, { role, sqlRole, policies, sqlTable: sqlTable(id) }));
  }
  return findings;
}
