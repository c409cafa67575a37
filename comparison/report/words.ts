import { counted } from './count-words.ts';
import type { KeyList } from './key-list.ts';
import type { RowDifferences } from '../final-state/merge.ts';
import type { Measured } from '../measured.ts';
import type { ClaimResult } from '../outcomes/claims.ts';
import type { Outcome } from '../outcomes/outcome.ts';
import { entriesOf, type Strategy } from '../strategy.ts';
import type { ComparisonReport } from './report.ts';
import { strategyNames } from './sections.ts';

const outcomeWords: Readonly<Record<Outcome, string>> = {
  all: 'every strategy',
  'log+query': 'the log and the query, not the sweep',
  'log+sweep': 'the log, and the query with its sweep',
  'query+sweep': 'the query, with a sweep or without',
  'only-log': 'only the log',
  'only-query': 'only the query',
  'only-sweep': 'only the query with its sweep',
  none: 'none',
  inconclusive: 'inconclusive',
};

const subjects: Readonly<Record<Strategy, string>> = { log: 'Log', query: 'Query', sweep: 'Query + sweep' };

/** One paragraph for each claim: what was tested, for whom it holds, and on what evidence. */
export function claimLines({ claims }: ComparisonReport): readonly string[] {
  return claims.map(claimLine);
}

function claimLine({ claim, property, outcome, reason, evidence }: ClaimResult): string {
  const verdict = `"${claim}." Tested: ${property}. Holds for: ${outcomeWords[outcome]}`;
  const found = entriesOf(evidence);
  if (reason !== null && new Set(found.map(([, text]) => text)).size === 1) return `${verdict} (${reason}).`;
  return `${verdict}. ${found.map(([strategy, text]) => `${subjects[strategy]}: ${text}.`).join(' ')}`;
}

/** The keys behind the figures: lost states and deletes, repeats, ghosts, missing and stale rows. */
export function detailLines(report: ComparisonReport): readonly string[] {
  return entriesOf(report.strategies).flatMap(([strategy, { events, state }]) => {
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
      add('delete', ' of rows that came and went unseen', table, found.deletes.ofUnseen);
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
  // One key may have several cases, so that fewer keys than cases is not yet a list cut short.
  return keys.length > shownKeys || (keys.length < count && keys.length >= shownKeys) ? `${shown} …` : shown;
}

function columnText(columns: Readonly<Record<string, number>>): string {
  return Object.entries(columns)
    .map(([column, count]) => `${column} ${count}`)
    .join(', ');
}
