import type { QueryApiConfig } from '#pipeline/index.ts';
import { instantOf } from '../changes/streams.ts';
import { formatPosition } from '../freshness/position.ts';
import type { Reader } from '../model/reader.ts';
import { freshnessOf } from './freshness-headers.ts';
import type { Figures } from './metrics.ts';

export type StatusOptions = {
  readonly reader: Reader;
  readonly figures: () => Figures;
  readonly settings: Pick<QueryApiConfig, 'auth'>;
  readonly staleAfterMs: number;
  /** Why the model cannot be read, by a query of now; null when it can. Never throws. */
  readonly whyNotReady: () => Promise<string | null>;
};

/** What `/status` answers: what is served and how fresh it is. */
export async function modelStatus(options: StatusOptions): Promise<Readonly<Record<string, unknown>>> {
  const { reader, figures, settings, staleAfterMs, whyNotReady } = options;
  const why = await whyNotReady();
  const base = { model: reader.model, auth: settings.auth, ready: why === null, reasons: why === null ? [] : [why], ...figures() };
  if (why !== null) return base;
  const { tables } = await reader.catalogue();
  const { position, asOf, stalenessMs } = await reader.applied();
  return {
    ...base,
    freshness: freshnessOf(stalenessMs, staleAfterMs),
    asOf: asOf === null ? null : instantOf(asOf),
    stalenessMs: stalenessMs === null ? null : Number(stalenessMs),
    position: formatPosition(position),
    tables: [...tables.values()].map(({ name, kind }) => ({ name, kind })),
  };
}
