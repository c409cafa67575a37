import type { QueryApiConfig } from '#pipeline/index.ts';
import { formatPosition } from '#read-model/index.ts';
import { instantOf } from '../changes/streams.ts';
import type { Reader } from '../model/reader.ts';
import type { Guard } from '../../resilience/guard.ts';
import { freshnessOf } from './freshness-headers.ts';
import type { Figures } from './metrics.ts';

export type StatusOptions = {
  readonly reader: Reader;
  readonly figures: () => Figures;
  readonly settings: Pick<QueryApiConfig, 'auth'>;
  readonly staleAfterMs: number;
  /** Why nobody can answer; null when somebody can. Never throws. */
  readonly whyNotReady: () => Promise<string | null>;
  /** Why the model cannot be read, by a query of now; null when it can. Never throws. */
  readonly whyModelAway: () => Promise<string | null>;
  /** Of the model and of what answers in its place. */
  readonly guards: readonly Guard[];
};

/** What `/status` answers: what is served and how fresh it is. */
export async function modelStatus(options: StatusOptions): Promise<Readonly<Record<string, unknown>>> {
  const { reader, figures, settings, staleAfterMs, whyNotReady, whyModelAway, guards } = options;
  const why = await whyModelAway();
  const ready = why === null || (await whyNotReady()) === null;
  const dependencies = Object.fromEntries(guards.map((guard) => [guard.name, guard.figures]));
  const base = { model: reader.model, auth: settings.auth, ready, reasons: why === null ? [] : [why], ...figures(), dependencies };
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
