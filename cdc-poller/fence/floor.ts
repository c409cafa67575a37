/**
 * The floor: a time below which no row version can appear any more, so that a poll need not look there. A transaction stamps its
 * rows no earlier than it starts. So once every transaction that was open at some moment has ended and a poll has looked since, what
 * is still to come carries a later stamp than that moment.
 *
 * Source of the technique: the project's own prototype (docs/decisions/0001-fence-instead-of-watermark.md); open transactions are read from pg_locks, because every transaction
 * holds a lock on its virtual id from start to end and, unlike pg_stat_activity, that view shows them to any role.
 */

/** Microseconds since the epoch. A JS number would hold them until the year 2255; a bigint needs no such thought. */
export type Micros = bigint;

/**
 * A place in the order of a table's rows: Micros where a timestamp decides what is new, an id where ids do (mode incrementing). Everything
 * said here of the clock holds of ids too, if they ascend in the order in which they are drawn and are drawn in the transaction that inserts
 * them: the mark of a moment is then any id that had been drawn by then, since a transaction that begins later draws a higher one. That
 * is so of a sequence that counts up without cache or cycle; one with a cache gives each session a block of its own, and a session may
 * hold on to low ids for as long as it lives: no floor would be true.
 */
export type Mark = bigint;

/** The floor that is below every row. */
export const beginning: Mark = -(2n ** 63n);

/** What was seen of the server's clock and transactions, in this order, before the snapshot was taken. */
export type Observation = {
  readonly clock: Micros;
  /** Virtual ids of all open transactions of the server, in all its databases, but the observer's own. */
  readonly open: ReadonlySet<string>;
  readonly snapshot: { readonly xmin: bigint; readonly xmax: bigint };
};

/** An earlier moment that may become the floor. */
type Candidate = {
  readonly mark: Mark;
  /** When it was. */
  readonly at: Micros;
  /** Transactions that were open then and have not been seen ended. */
  readonly open: ReadonlySet<string>;
  /**
   * Set when all of `open` were seen ended: the xmax of the snapshot taken then. PREPARE TRANSACTION gives up the virtual id while the
   * transaction lives on; its xid is below this xmax, so when the snapshot's xmin reaches it, that transaction has ended too.
   */
  readonly gate: bigint | null;
};

export type FloorState = {
  /** Null: no bound yet, rows of any time may come. */
  readonly floor: Mark | null;
  readonly candidates: readonly Candidate[];
};

/** More than this many moments are not kept: with a transaction open for hours, every second one is dropped. */
const candidatesMax = 32;

/**
 * The state after a poll that looked with `observation` taken before it and scanned from the old floor. Pure.
 *
 * `mark` is the moment's: the observation's clock, or the highest id that was read before the observation (never after it: between the
 * reading of the open transactions and that of the ids another transaction could draw a lower id and stay open unseen).
 *
 * The new floor holds for later polls only: this poll, which began after the drained moment's transactions had ended, has seen
 * what they left.
 *
 * @param margin kept below a moment, for a transaction that had read the clock but did not hold its virtual id yet
 */
export function advanceFloor(state: FloorState, observation: Observation, margin: Mark, mark: Mark = observation.clock): FloorState {
  const judged = [...state.candidates, { mark, at: observation.clock, open: observation.open, gate: null }].map((candidate) =>
    judge(candidate, observation),
  );
  const drained = judged.findLastIndex(({ gate }) => gate !== null && observation.snapshot.xmin >= gate);
  const moment = judged[drained];
  const rest = judged.slice(drained + 1);
  return {
    floor: moment === undefined ? state.floor : latest(state.floor, moment.mark - margin),
    candidates: rest.length > candidatesMax ? thin(rest) : rest,
  };
}

/** Lowers floor and moments by what the server's clock stepped back: rows written from now on carry times below what was expected. */
export function lowerFloor({ floor, candidates }: FloorState, step: Micros): FloorState {
  return {
    floor: floor === null ? null : floor - step,
    candidates: candidates.map((candidate) => ({ ...candidate, mark: candidate.mark - step })),
  };
}

function judge(candidate: Candidate, { open, snapshot }: Observation): Candidate {
  if (candidate.gate !== null) return candidate;
  const still = candidate.open.intersection(open);
  return { ...candidate, open: still, gate: still.size === 0 ? snapshot.xmax : null };
}

export function latest(a: Mark | null, b: Mark): Mark {
  return a === null || b > a ? b : a;
}

/** Keeps the oldest, the newest and every second one between. */
function thin(candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.filter((_, index) => index % 2 === 0 || index === candidates.length - 1);
}
