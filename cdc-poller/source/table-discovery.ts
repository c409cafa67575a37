import { formatTableId } from '#change-events/index.ts';
import type { PollerConfig, PollerTableConfig } from '#pipeline/index.ts';
import { readCatalog, type CatalogSource } from './catalog.ts';
import { findProblems, type ShapeFinding } from './judge-table.ts';

/** A table that a pattern matches, but that cannot be polled as the pattern says. */
export type UnfitTable = { readonly table: string; readonly findings: readonly ShapeFinding[] };

/**
 * The tables to poll: those that are configured by name, whatever they are, and those that the patterns match and that can be polled, each with
 * the settings of the first pattern that matches it. A name goes before a pattern. Partitions belong to their table, which is matched itself.
 *
 * @param onUnfit told of each table that a pattern matches and that is left out because it cannot be polled
 */
export async function discoverTables(
  source: CatalogSource,
  poller: PollerConfig,
  onUnfit: (unfit: UnfitTable) => void = () => undefined,
): Promise<readonly PollerTableConfig[]> {
  const named = poller.tables.filter(({ table }) => !isPattern(table));
  const patterns = poller.tables.filter(({ table }) => isPattern(table));
  if (patterns.length === 0) return named;
  const known = new Set(named.map(({ table }) => table));
  const [[role] = []] = await source.query('SELECT current_user');
  const found: PollerTableConfig[] = [];
  for (const [schema, name] of await source.query(tablesQuery)) {
    const table = formatTableId({ schema: schema ?? '', table: name ?? '' });
    const pattern = known.has(table) ? undefined : patterns.find((entry) => isMatch(entry, table));
    if (pattern === undefined) continue;
    const { exclude: _, ...settings } = pattern;
    const config: PollerTableConfig = { ...settings, table };
    const findings = findProblems(await readCatalog(source, config), config, role ?? '');
    if (findings.length === 0) found.push(config);
    else onUnfit({ table, findings });
  }
  return [...named, ...found];
}

export function isPattern(table: string): boolean {
  return /[*?]/.test(table);
}

/** Whether a pattern means a table. `*` and `?` stop at the dot. Pure. */
export function isMatch({ table: pattern, exclude = [] }: Pick<PollerTableConfig, 'table' | 'exclude'>, table: string): boolean {
  return globToRegExp(pattern).test(table) && !exclude.some((other) => globToRegExp(other).test(table));
}

function globToRegExp(glob: string): RegExp {
  const source = glob
    .replaceAll(/[\\^$.|+()[\]{}]/g, String.raw`\$&`)
    .replaceAll('*', '[^.]*')
    .replaceAll('?', '[^.]');
  return new RegExp(`^${source}$`, 'u');
}

/** Names with a dot cannot be written as schema.table. */
const tablesQuery = `
  SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND strpos(n.nspname || c.relname, '.') = 0
  ORDER BY 1, 2`;
