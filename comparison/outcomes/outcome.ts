import { entriesOf, type PerStrategy, type Strategy } from '../strategy.ts';

/**
 * For which strategies of the run a property holds, closed: every set of them has one name. `all` and `none` speak of those that ran, two or
 * three; `inconclusive` when the run could not decide for one of them.
 */
export const outcomes = [
  'all',
  'log+query',
  'log+sweep',
  'query+sweep',
  'only-log',
  'only-query',
  'only-sweep',
  'none',
  'inconclusive',
] as const;
export type Outcome = (typeof outcomes)[number];

/** What a run says of one property under one strategy. */
export type Verdict = { readonly kind: 'holds' | 'fails'; readonly evidence: string } | { readonly kind: 'unknown'; readonly why: string };

export function holds(evidence: string): Verdict {
  return { kind: 'holds', evidence };
}

export function fails(evidence: string): Verdict {
  return { kind: 'fails', evidence };
}

export function unknown(why: string): Verdict {
  return { kind: 'unknown', why };
}

/** `holds` or `fails` by a condition, with the same evidence. */
export function verdictIf(condition: boolean, evidence: string): Verdict {
  return condition ? holds(evidence) : fails(evidence);
}

/** The outcome of all verdicts, and for `inconclusive` the reason. One unknown makes the whole unknown: part of a comparison is none. */
export function decide(verdicts: PerStrategy<Verdict>): { readonly outcome: Outcome; readonly reason: string | null } {
  const entries = entriesOf(verdicts);
  const reasons = new Set(entries.flatMap(([, verdict]) => (verdict.kind === 'unknown' ? [verdict.why] : [])));
  if (reasons.size > 0) return { outcome: 'inconclusive', reason: [...reasons].join('; ') };
  const holders = entries.filter(([, verdict]) => verdict.kind === 'holds').map(([strategy]) => strategy);
  return { outcome: nameOf(holders, entries.length), reason: null };
}

/** @param holders in the order of `strategies` */
function nameOf(holders: readonly Strategy[], contenders: number): Outcome {
  const [first, second] = holders;
  if (first === undefined) return 'none';
  if (holders.length === contenders) return 'all';
  if (second === undefined) return `only-${first}`;
  if (first === 'query') return 'query+sweep';
  return second === 'query' ? 'log+query' : 'log+sweep';
}
