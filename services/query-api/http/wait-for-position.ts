import type { FastifyRequest } from 'fastify';
import type { QueryApiConfig } from '#pipeline/index.ts';
import { hasReached, laterBy, parseWanted, type Reached, type Wanted } from '#read-model/index.ts';
import { Problem } from '../../http/problems.ts';
import type { Positions } from '../freshness/follow-positions.ts';
import { flag, single } from '../lists/list-query.ts';
import type { Metrics } from './metrics.ts';

/** What a request has to have reached before it is answered. */
export type AskedPosition = {
  readonly wanted: Wanted;
  /** An older answer is taken too. */
  readonly takesOlder: boolean;
};

/** Min-Position as a header or a parameter; null where there is none. @throws Problem position-invalid, bad-request */
export function positionOf(request: FastifyRequest, parameters: URLSearchParams): AskedPosition | null {
  const takesOlder = (flag(parameters, 'if-behind', ['stale', 'fail']) ?? 'fail') === 'stale';
  const header = request.headers['min-position'];
  const text = single(parameters, 'min-position') ?? (Array.isArray(header) ? header.join(';') : header);
  if (text === undefined) return null;
  // In a query, the plus of a zone comes as a blank.
  const wanted = parseWanted(text.replace(/ (?=\d\d:\d\d$)/, '+'));
  if (wanted === null)
    throw new Problem('position-invalid', 'Expected the Position of an answer, or a time with zone as 2026-01-31T12:00:00.123456Z.');
  return { wanted, takesOlder };
}

export type WaitOptions = {
  readonly positions: Positions;
  readonly metrics: Metrics;
  readonly settings: Pick<QueryApiConfig, 'positionWaitMs'>;
  /** The server ends. */
  readonly signal: AbortSignal;
};

/** The read model cannot say how far it is: it is away. For who has another source. */
export class PositionsAway extends Error {
  override readonly name = 'PositionsAway';
}

/**
 * Waits until the model has reached the position, or the request takes an older answer.
 *
 * @throws Problem position-not-reached, position-invalid; PositionsAway
 */
export async function waitForPosition(
  { positions, metrics, settings, signal }: WaitOptions,
  request: FastifyRequest,
  position: AskedPosition | null,
): Promise<void> {
  if (position === null) return;
  const began = performance.now();
  using client = closed(request);
  const outcome = await positions.reached(position.wanted, settings.positionWaitMs, AbortSignal.any([signal, client.signal]));
  metrics.waited(outcome === 'yes' ? 'reached' : 'not-reached', (performance.now() - began) / 1000);
  if (outcome === 'away') throw new PositionsAway('the read model cannot be asked how far it is');
  if (outcome === 'unknown') throw new Problem('position-invalid', 'The position names a topic or partition that the model does not read.');
  if (outcome === 'no' && !position.takesOlder) throw notReached(settings.positionWaitMs);
}

/**
 * Whether the rows have what was waited for. Where another server answers by now, or the view is halted, they may not, though the model had.
 *
 * @throws Problem position-not-reached where they have not, and the request takes no older answer
 */
export function requireReached(position: AskedPosition | null, reached: Reached, clockAheadMs: number): boolean {
  if (position === null || hasReached(reached, laterBy(clockAheadMs, position.wanted))) return true;
  if (!position.takesOlder) throw new Problem('position-not-reached', `The rows are older than the position. ${takeOlder}`);
  return false;
}

export function notReached(waitedMs: number): Problem {
  return new Problem('position-not-reached', `The model has not reached the position within ${waitedMs} ms. ${takeOlder}`);
}

const takeOlder = 'if-behind=stale takes an older answer.';

/** Nobody waits for a client that has gone. A connection has many requests after one another: none leaves a listener behind. */
function closed({ raw: { socket } }: FastifyRequest): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  socket.once('close', abort);
  return { signal: controller.signal, [Symbol.dispose]: () => void socket.off('close', abort) };
}
