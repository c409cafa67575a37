import type { ConnectorConfig } from '../config-file.ts';
import { shownValue } from '../secrets.ts';

/** One setting that would change. Values as they may be shown: references, never what they resolve to; literal secrets masked. */
export type ConfigChange =
  | { readonly kind: 'added'; readonly key: string; readonly after: string }
  | { readonly kind: 'changed'; readonly key: string; readonly before: string; readonly after: string }
  | { readonly kind: 'removed'; readonly key: string; readonly before: string };

/** What applying would do: nothing, create the connector, or change these settings. */
export type Plan = { readonly action: 'none' | 'create' | 'update'; readonly changes: readonly ConfigChange[] };

/** Compares what runs (null: nothing) with what is wanted, by key. */
export function planChanges(running: ConnectorConfig | null, wanted: ConnectorConfig): Plan {
  const keys = [...new Set([...Object.keys(running ?? {}), ...Object.keys(wanted)])].toSorted();
  const changes = keys.flatMap((key) => change(key, running?.[key], wanted[key]) ?? []);
  if (running === null) return { action: 'create', changes };
  return { action: changes.length === 0 ? 'none' : 'update', changes };
}

function change(key: string, before: string | undefined, after: string | undefined): ConfigChange | undefined {
  if (before === after) return undefined;
  if (after === undefined) return before === undefined ? undefined : { kind: 'removed', key, before: shownValue(key, before) };
  if (before === undefined) return { kind: 'added', key, after: shownValue(key, after) };
  return { kind: 'changed', key, before: shownValue(key, before), after: shownValue(key, after) };
}

/** The plan as lines for a person: `+` added, `~` changed, `-` removed. */
export function formatPlan(name: string, plan: Plan): string {
  if (plan.action === 'none') return `${name}: no changes`;
  const heading = plan.action === 'create' ? `${name}: would be created` : `${name}: would change`;
  return [heading, ...plan.changes.map((one) => `  ${formatChange(one)}`)].join('\n');
}

function formatChange(one: ConfigChange): string {
  switch (one.kind) {
    case 'added':
      return `+ ${one.key} = ${one.after}`;
    case 'changed':
      // Two literal secrets that differ would read "*** → ***".
      return one.before === one.after ? `~ ${one.key} (secret, differs)` : `~ ${one.key} = ${one.before} → ${one.after}`;
    case 'removed':
      return `- ${one.key} = ${one.before}`;
  }
}

const kinds = ['database', 'schema', 'table', 'column'] as const;

/**
 * What the running settings capture and the wanted ones no longer would, one phrase each; by Debezium's include and exclude lists, whose
 * patterns are compared as they are written. Empty when nothing is taken away.
 */
export function capturesLess(running: ConnectorConfig, wanted: ConnectorConfig): readonly string[] {
  return kinds.flatMap((kind) => {
    const [included, excluded] = [`${kind}.include.list`, `${kind}.exclude.list`];
    const [before, after] = [patterns(running[included]), patterns(wanted[included])];
    // No list is everything.
    const narrowed = before.size === 0 && after.size > 0;
    const gone = after.size === 0 ? [] : [...before.difference(after)];
    return [
      ...(narrowed ? [`everything outside a new ${included}`] : []),
      ...gone.map((name) => `${name} of ${included}`),
      ...[...patterns(wanted[excluded]).difference(patterns(running[excluded]))].map((name) => `${name}, new in ${excluded}`),
    ];
  });
}

/** Debezium splits at commas that no backslash precedes. */
function patterns(list: string | undefined): Set<string> {
  return new Set(
    (list ?? '')
      .split(/(?<!\\),/)
      .map((one) => one.trim())
      .filter((one) => one !== ''),
  );
}
