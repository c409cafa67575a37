import { formatTableId } from '#change-events/index.ts';
import type { PollerConfig, PollerTableConfig } from '#pipeline/index.ts';
import { findProblems, type ShapeFinding } from './judge-table.ts';
import type { SourceSession } from './source-session.ts';

/** A table that a pattern matches, but that cannot be polled as the pattern says. */
export type UnfitTable = { readonly table: string; readonly findings: readonly ShapeFinding[] };

/**
 * The tables to poll: those that are configured by name, whatever they are, and those that the patterns match and that can be polled, each with
 * the settings of the first pattern that matches it. A name goes before a pattern. Partitions belong to their table, which is matched itself.
 *
 * @param onUnfit told of each table that a pattern matches and that is left out because it cannot be polled
 */
export async function discoverTables(
  session: SourceSession,
  poller: PollerConfig,
  onUnfit: (unfit: UnfitTable) => void = () => undefined,
): Promise<readonly PollerTableConfig[]> {
  const named = poller.tables.filter(({ table }) => !isPattern(table));
  const patterns = poller.tables.filter(({ table }) => isPattern(table));
  if (patterns.length === 0) return named;
  const known = new Set(named.map(({ table }) => table));
  const { dialect } = session;
  const { role } = await dialect.readIdentity(session);
  const found: PollerTableConfig[] = [];
  for (const [schema, name] of await dialect.listTables(session)) {
    const table = formatTableId({ schema: schema ?? '', table: name ?? '' });
    const pattern = known.has(table) ? undefined : patterns.find((entry) => isMatch(entry, table));
    if (pattern === undefined) continue;
    const { exclude: _, ...settings } = pattern;
    const config: PollerTableConfig = { ...settings, table };
    const findings = findProblems(await dialect.readCatalog(session, config), config, role, dialect.words);
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
