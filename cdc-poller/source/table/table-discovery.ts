import { formatTableId } from '#change-events/index.ts';
import { isTablePattern, matchesTable, type PollerConfig, type PollerTableConfig } from '#pipeline/index.ts';
import { judgeTable } from '../../judge.ts';
import type { ShapeFinding } from '../judge/unfit-codes.ts';
import type { SourceSession } from '../dialect.ts';

/** A table that a pattern matches, but that cannot be polled as the pattern says. */
export type UnfitTable = { readonly table: string; readonly findings: readonly ShapeFinding[] };

/**
 * The tables to poll: those that are configured by name, whatever they are, and those that the patterns match and that can be polled, each with
 * the settings of the first pattern that matches it. A name goes before a pattern. Partitions belong to their table, which is matched itself.
 *
 * @param onUnfit called with each table that a pattern matches and that is left out because it cannot be polled
 */
export async function discoverTables(
  session: SourceSession,
  poller: PollerConfig,
  onUnfit: (unfit: UnfitTable) => void = () => undefined,
): Promise<readonly PollerTableConfig[]> {
  const named = poller.tables.filter(({ table }) => !isTablePattern(table));
  const patterns = poller.tables.filter(({ table }) => isTablePattern(table));
  if (patterns.length === 0) return named;
  const known = new Set(named.map(({ table }) => table));
  const { dialect } = session;
  const identity = await dialect.readIdentity(session);
  const found: PollerTableConfig[] = [];
  for (const [schema, name] of await dialect.listTables(session)) {
    const table = formatTableId({ schema: schema ?? '', table: name ?? '' });
    const pattern = known.has(table) ? undefined : patterns.find((entry) => matchesTable(entry, table));
    if (pattern === undefined) continue;
    const { exclude: _, ...settings } = pattern;
    const config: PollerTableConfig = { ...settings, table };
    const { findings } = await judgeTable(session, identity, config);
    if (findings.length === 0) found.push(config);
    else onUnfit({ table, findings });
  }
  return [...named, ...found];
}
