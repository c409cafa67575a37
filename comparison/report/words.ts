import { counted } from '../count-words.ts';
import type { KeyList } from '../key-list.ts';
import type { RowDifferences } from '../final-state/merge.ts';
import type { Measured } from '../measured.ts';
import type { ClaimResult } from '../outcomes/claims.ts';
import type { Outcome } from '../outcomes/outcome.ts';
import { strategies } from '../strategy.ts';
import type { ComparisonReport } from './report.ts';
import { strategyNames } from './sections.ts';

const outcomeWords: Readonly<Record<Outcome, string>> = {
  both: 'both strategies',
  'only-log': 'only the log',
  'only-query': 'only the query',
  neither: 'neither',
  inconclusive: 'inconclusive',
};

/** One paragraph for each claim: what was tested, for whom it holds, and on what evidence. */
export function claimLines({ claims }: ComparisonReport): readonly string[] {
  return claims.map(claimLine);
}

function claimLine({ claim, property, outcome, reason, evidence }: ClaimResult): string {
  const verdict = `"${claim}." Tested: ${property}. Holds for: ${outcomeWords[outcome]}`;
  if (reason !== null && evidence.log === evidence.query) return `${verdict} (${reason}).`;
  return `${verdict}. Log: ${evidence.log}. Query: ${evidence.query}.`;
}

/** The keys behind the figures: lost states and deletes, repeats, ghosts, missing and stale rows. */
export function detailLines(report: ComparisonReport): readonly string[] {
  return strategies.flatMap((strategy) => {
    const { events, state } = report.strategies[strategy];
    const name = strategyNames[strategy];
    const lines: string[] = [];
    const add = (noun: string, detail: string, where: string, list: KeyList): void => {
      if (list.count > 0) lines.push(`${name}: ${counted(list.count, noun)}${detail} in ${where}: ${keyText(list)}`);
    };
    for (const table of report.tables) {
      const found = events.measured ? events.value[table] : undefined;
      if (found === undefined) continue;
      add('state', ' lost', table, found.states.lost);
      add('delete', ' lost', table, found.deletes.lost);
      add('event', ' twice', table, found.duplicates);
      add('event', ' out of order', table, found.outOfOrder);
      add('event', ' of states that never were', table, found.unexplained);
    }
    const addRows = (where: string, found: Measured<RowDifferences> | undefined): void => {
      if (found?.measured !== true) return;
      add('ghost row', '', where, found.value.ghost);
      add('missing row', '', where, found.value.missing);
      add('stale row', ` (${columnText(found.value.staleColumns)})`, where, found.value.stale);
    };
    for (const table of report.tables) addRows(table, state.tables[table]);
    addRows('the order view', state.orderView);
    return lines;
  });
}

const shownKeys = 12;

/** `1, 2, 3 and more` */
function keyText({ count, keys }: KeyList): string {
  const shown = keys.slice(0, shownKeys).join(', ');
  // A key may stand for several cases, so that fewer keys than cases is not yet a list cut short.
  return keys.length > shownKeys || (keys.length < count && keys.length >= shownKeys) ? `${shown} …` : shown;
}

function columnText(columns: Readonly<Record<string, number>>): string {
  return Object.entries(columns)
    .map(([column, count]) => `${column} ${count}`)
    .join(', ');
}
