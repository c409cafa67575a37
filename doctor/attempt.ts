import * as z from 'zod';
import type { Finding } from './finding.ts';
import { probeFinding, type Viewer } from './postgres/probe/session.ts';

/** Runs probes for one viewer and keeps what could not be seen as findings, so that one refusal does not end the examination. */
export type Attempts = {
  readonly findings: Finding[];
  /** Undefined: it could not be seen. */
  readonly see: <T>(what: string, probe: () => Promise<T>) => Promise<T | undefined>;
};

/** @param toFinding makes the finding of a refusal, in the words of the server */
export function attemptsOf(viewer: Viewer, signal: AbortSignal, toFinding: typeof probeFinding = probeFinding): Attempts {
  const findings: Finding[] = [];
  return {
    findings,
    see: async (what, probe) => {
      signal.throwIfAborted();
      try {
        return await probe();
      } catch (error) {
        // An answer of another shape is a fault of this program, no finding.
        if (error instanceof z.ZodError) throw error;
        findings.push(toFinding(error, what, viewer));
        return undefined;
      }
    },
  };
}
