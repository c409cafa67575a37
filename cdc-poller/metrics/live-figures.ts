import type { PollerConfig } from '#pipeline/index.ts';
import * as z from 'zod';
import type { ProcessFigures } from './prometheus.ts';

const heldBackBy = z.object({
  pid: z.number().nullable(),
  application: z.string().nullable(),
  user: z.string().nullable(),
  ageSeconds: z.number().or(z.literal('not permitted')),
  prepared: z.string().nullable(),
});

const tableFigures = z.object({
  table: z.string(),
  phase: z.enum(['starting', 'loading', 'polling', 'waiting', 'failed']),
  stuck: z.boolean(),
  rowsPublished: z.number(),
  rowsRead: z.number(),
  polls: z.number(),
  queries: z.number(),
  intervalMs: z.number().nullable(),
  lastSuccessAt: z.string().nullable(),
  lagSeconds: z.number().nullable(),
  fenceLagSeconds: z.number().nullable(),
  heldBackBy: heldBackBy.nullable(),
  rememberedKeys: z.number(),
  window: z
    .object({ unit: z.enum(['seconds', 'ids']), width: z.number(), latest: z.number() })
    .nullable()
    .default(null),
  load: z
    .object({
      rowsRead: z.number(),
      rowsPerSecond: z.number(),
      rowsRemaining: z.number().nullable(),
      secondsRemaining: z.number().nullable(),
    })
    .nullable(),
  leftOut: z.object({
    skipped: z.number(),
    deadLettered: z.number(),
    last: z.object({ key: z.string(), bytes: z.number(), at: z.string() }).nullable(),
  }),
  sweep: z
    .object({
      sweeps: z.number(),
      deletesPublished: z.number(),
      lastSuccessAt: z.string().nullable(),
      lastOutcome: z.enum(['found', 'too-many', 'moved', 'hidden', 'gone', 'failed']),
    })
    .nullable(),
  errors: z.record(z.string(), z.number()),
  lastError: z.object({ code: z.string(), message: z.string(), remedy: z.string().nullable(), at: z.string() }).nullable(),
});

const processFigures = z.object({
  poller: z.string(),
  sharing: z.enum(['group', 'takeover']),
  member: z.boolean().nullable(),
  tables: z.array(tableFigures),
});

/** How long a process may take to answer, in ms. */
const answerMs = 2000;

/** Where a poller with this configuration would answer on this machine; null when it does not, or at a port that only its log names. */
export function httpUrlOf({ http }: PollerConfig): string | null {
  if (http === undefined || http.port === 0) return null;
  const host = http.host === '0.0.0.0' || http.host === '::' ? '127.0.0.1' : http.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${http.port}`;
}

/** Asks a running process for its figures. Null when none answers there within `limitMs`, or it is another poller's. */
export async function fetchFigures(url: string, pollerName: string, limitMs = answerMs): Promise<ProcessFigures | null> {
  try {
    const response = await fetch(new URL('/status', url), { signal: AbortSignal.timeout(limitMs) });
    const figures = processFigures.parse(await response.json());
    return figures.poller === pollerName ? figures : null;
  } catch {
    return null;
  }
}
