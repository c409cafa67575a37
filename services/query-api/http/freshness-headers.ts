import { formatPosition, positionMost } from '#read-model/index.ts';
import { instantOf } from '../changes/streams.ts';
import type { Applied } from '../model/readings.ts';

/** The names and meanings of the headers by which each answer says how fresh it is; in docs/services.md and the OpenAPI document too. */
export const freshnessHeaders = {
  position: 'How far the table is applied, to be sent as Min-Position. Left out when it would be too long.',
  'as-of': 'Everything that was committed in the source before this time is in the answer. Left out when that is not known.',
  'staleness-ms': "How far the answer may be behind the source's head, in ms. Left out when that is not known.",
  freshness: 'fresh, stale (older than staleAfterMs of the model) or unknown.',
} as const;

/** @param staleAfterMs of the model */
export function headersOf({ position, asOf, stalenessMs }: Applied, staleAfterMs: number): Readonly<Record<string, string>> {
  const text = formatPosition(position);
  return {
    ...(text === '' || text.length > positionMost ? {} : { position: text }),
    ...(asOf === null ? {} : { 'as-of': instantOf(asOf) }),
    ...(stalenessMs === null ? {} : { 'staleness-ms': String(stalenessMs) }),
    freshness: freshnessOf(stalenessMs, staleAfterMs),
  };
}

export function freshnessOf(stalenessMs: bigint | null, staleAfterMs: number): 'fresh' | 'stale' | 'unknown' {
  if (stalenessMs === null) return 'unknown';
  return stalenessMs > BigInt(staleAfterMs) ? 'stale' : 'fresh';
}
