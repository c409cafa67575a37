import { errorRemedy, visibleLine } from '#pipeline/index.ts';
import type { Difference } from './difference.ts';
import type { KeyList, TableResult } from './result.ts';

/** What was found, for people. Pure. */
export function renderResults(results: readonly TableResult[], withValues: boolean): string {
  return results.map((result) => renderResult(result, withValues)).join('\n');
}

function renderResult(result: TableResult, withValues: boolean): string {
  const {
    table,
    model,
    strategy,
    missing,
    ghost,
    stale,
    notComparable,
    inconclusive,
    ghostsExpected,
    notCompared,
    parked,
    complete,
    problem,
  } = result;
  const of = strategy === 'unknown' ? 'topics of neither strategy' : strategy;
  const lines = [`${table} in ${model} (${of}): ${summary(result)}`];
  const add = (text: string): void => void lines.push(`  ${visibleLine(text)}`);
  if (problem !== null) {
    add(`${problem.code}: ${problem.message}`);
    for (const line of `remedy: ${problem.remedy}`.split('\n')) add(line);
    return lines.join('\n');
  }
  if (result.outcome === 'notVerified') return lines.join('\n');
  if (missing.count > 0) add(`missing (in the source, not in the mirror): ${listed(missing)}`);
  if (ghost.count > 0) {
    const why = ghostsExpected ? 'deletes are invisible to a query, so these are expected' : 'in the mirror, not in the source';
    add(`ghost (${why}): ${listed(ghost)}`);
  }
  if (stale.count > 0) {
    add(`stale (columns differ): ${listed(stale)}; ${columnsText(stale.columns)}`);
    for (const difference of result.differences.filter(({ kind }) => kind === 'stale')) add(staleText(difference, withValues));
  }
  if (notComparable.count > 0)
    add(`not comparable (the log's events lose such values): ${listed(notComparable)}; ${columnsText(notComparable.columns)}`);
  if (inconclusive.count > 0) {
    add(`VERIFY_INCONCLUSIVE: nothing is known of ${listed(inconclusive)}: ${inconclusive.why ?? ''}`);
    add(`remedy: ${errorRemedy('VERIFY_INCONCLUSIVE')}`);
  }
  if (parked > 0)
    add(`${parked} events of this table are parked, their changes are not in the mirror: cdc read-model parked list --model ${model}`);
  for (const [why, columns] of Map.groupBy(notCompared, (one) => one.why))
    add(`not compared: ${columns.map(({ column }) => column).join(', ')} (${why})`);
  if (!complete) add('the table was not compared to its end');
  return lines.join('\n');
}

function columnsText(columns: Readonly<Record<string, number>>): string {
  return Object.entries(columns)
    .map(([column, count]) => `${column} in ${rows(count)}`)
    .join(', ');
}

function summary({
  outcome,
  sourceRows,
  mirrorRows,
  missing,
  ghost,
  stale,
  notComparable,
  inconclusive,
  ghostsExpected,
}: TableResult): string {
  const compared = `${rows(sourceRows)} of the source, ${mirrorRows} of the mirror`;
  const counts = [
    ...(missing.count > 0 ? [`${missing.count} missing`] : []),
    ...(stale.count > 0 ? [`${stale.count} stale`] : []),
    ...(ghost.count > 0 ? [`${ghost.count} ghost${ghostsExpected ? ', as expected' : ''}`] : []),
    ...(notComparable.count > 0 ? [`${notComparable.count} not comparable`] : []),
    ...(inconclusive.count > 0 ? [`${inconclusive.count} inconclusive`] : []),
  ];
  const words = {
    equal: 'equal',
    differs: 'DIFFERS',
    inconclusive: 'INCONCLUSIVE',
    notVerified: 'NOT VERIFIED: the poller publishes the rows of a query (poller.tables[].query), which no table has',
    failed: 'could not be compared',
  };
  return outcome === 'failed' || outcome === 'notVerified' ? words[outcome] : `${words[outcome]}: ${[compared, ...counts].join('; ')}`;
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`;
}

function listed({ count, keys }: KeyList): string {
  const more = count > keys.length ? ` and ${count - keys.length} more` : '';
  return `${keys.join(', ')}${more}`;
}

function staleText({ key, columns }: Difference, withValues: boolean): string {
  const changed = columns.map(({ name, source, mirror }) =>
    withValues ? `${name}: ${source} in the source, ${mirror} in the mirror` : name,
  );
  return `${key}: ${changed.join(', ')}`;
}

/** The same for programs. Values only when asked for. */
export function resultsJson(results: readonly TableResult[], withValues: boolean): string {
  const shown = results.map(({ differences, ...result }) => ({
    ...result,
    differences: differences.map(({ kind, key, columns }) => ({
      kind,
      key,
      columns: withValues ? columns : columns.map(({ name }) => name),
    })),
  }));
  return JSON.stringify(
    { equal: results.every(({ outcome }) => outcome === 'equal' || outcome === 'notVerified'), tables: shown },
    null,
    2,
  );
}
