import type { PerStrategy } from '../strategy.ts';

/** For which strategies a property holds; `inconclusive` when a run could not tell. */
export const outcomes = ['both', 'only-log', 'only-query', 'neither', 'inconclusive'] as const;
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

/** The outcome of two verdicts, and for `inconclusive` the reason. One unknown makes the whole unknown: half a comparison is none. */
export function decide({ log, query }: PerStrategy<Verdict>): { readonly outcome: Outcome; readonly reason: string | null } {
  if (log.kind === 'unknown' || query.kind === 'unknown') {
    const reasons = new Set([log, query].flatMap((verdict) => (verdict.kind === 'unknown' ? [verdict.why] : [])));
    return { outcome: 'inconclusive', reason: [...reasons].join('; ') };
  }
  if (log.kind === 'holds') return { outcome: query.kind === 'holds' ? 'both' : 'only-log', reason: null };
  return { outcome: query.kind === 'holds' ? 'only-query' : 'neither', reason: null };
}
