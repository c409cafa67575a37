import { counted } from '../report/count-words.ts';
import type { Distribution } from '../latency/percentiles.ts';
import type { StrategyReport } from '../strategy-report.ts';
import { mapStrategies, type PerStrategy } from '../strategy.ts';
import { decide, fails, unknown, verdictIf, type Outcome, type Verdict } from './outcome.ts';
import { totalEvents, totalRows, type EventTotals } from './totals.ts';

/** One thing that people say about the two strategies, and what this run says of it. */
export type ClaimResult = {
  readonly id: string;
  /** As people say it. */
  readonly claim: string;
  /** What was tested: the outcome names the strategies for which this is true. */
  readonly property: string;
  readonly outcome: Outcome;
  /** Why the run could not decide; null unless inconclusive. */
  readonly reason: string | null;
  readonly verdicts: PerStrategy<Verdict['kind']>;
  /** What was measured, in words, under each strategy. */
  readonly evidence: PerStrategy<string>;
};

export type ClaimOptions = {
  /** The bound of "low latency": 95% of the changes within so many ms. */
  readonly latencyLimitMs: number;
  /** Why a limit of time may have been missed for want of processors alone; null when it was not. */
  readonly saturated?: string | null;
  /** The source changed after the window, so that a difference may be a change on its way. */
  readonly sourceMoved: boolean;
};

type Claim = {
  readonly id: string;
  readonly claim: string;
  readonly property: string;
  readonly judge: (report: StrategyReport) => Verdict;
};

/** Every claim of the comparison, judged by what was measured. */
export function judgeClaims(reports: PerStrategy<StrategyReport>, options: ClaimOptions): readonly ClaimResult[] {
  return claims(options).map(({ id, claim, property, judge }) => {
    const verdicts = mapStrategies(reports, judge);
    const kinds = mapStrategies(verdicts, ({ kind }) => kind);
    return { id, claim, property, ...decide(verdicts), verdicts: kinds, evidence: mapStrategies(verdicts, describe) };
  });
}

function describe(verdict: Verdict): string {
  return verdict.kind === 'unknown' ? `not measured (${verdict.why})` : verdict.evidence;
}

function claims({ latencyLimitMs, sourceMoved, saturated = null }: ClaimOptions): readonly Claim[] {
  return [
    {
      id: 'setup',
      claim: 'Query-based is easier to set up',
      property: 'Nothing is created and no setting changed in the source',
      judge: ({ setup }) => {
        if (!setup.measured) return unknown(setup.why);
        const needed = [...setup.value.objects, ...setup.value.settings];
        return verdictIf(
          needed.length === 0,
          needed.length === 0 ? 'nothing created or changed' : `${counted(needed.length, 'thing')}: ${needed.join(', ')}`,
        );
      },
    },
    {
      id: 'privileges',
      claim: 'Query-based needs fewer privileges',
      property: 'Its role may read tables and nothing else',
      judge: ({ setup }) => {
        if (!setup.measured) return unknown(setup.why);
        const { attributes, grants } = setup.value;
        const more = [...attributes, ...grants.filter((grant) => !grant.startsWith('SELECT '))];
        const reads = grants.length - (more.length - attributes.length);
        return verdictIf(
          more.length === 0,
          `SELECT on ${counted(reads, 'table')}${more.length === 0 ? ' only' : `, and ${more.join(', ')}`}`,
        );
      },
    },
    notYet(
      'columns',
      'Query-based needs a timestamp and an id column',
      'A table with neither is captured',
      'this run has no table without them',
    ),
    notYet(
      'load',
      'Polling loads the source, or lags',
      'The load stays the same whatever the latency',
      'one poll interval only; what each strategy cost at it is in the report',
    ),
    {
      id: 'deletes',
      claim: 'Query-based cannot see deletes',
      property: 'Every delete is published',
      judge: (report) =>
        withEvents(report, ({ deletes, deletesSeen, deletesOfUnseen }) => {
          if (deletes === 0) return unknown('no row was deleted in this run');
          const unseen = deletesOfUnseen === 0 ? '' : `; of the others, ${counted(deletesOfUnseen, 'row')} came and went unseen`;
          return verdictIf(deletesSeen === deletes, `${deletesSeen} of ${deletes} deletes published${unseen}`);
        }),
    },
    {
      id: 'ghosts',
      claim: 'A read model fed by queries keeps deleted rows',
      property: 'No deleted row stays in the read model',
      judge: (report) =>
        withEvents(report, ({ deletes }) => {
          const rows = totalRows(report.state);
          if (rows === null) return unknown('the read model was not compared');
          if (deletes === 0 && rows.ghost === 0) return unknown('no row was deleted in this run');
          if (rows.ghost > 0 && sourceMoved) return unknown('the source changed while the rows were compared');
          return verdictIf(rows.ghost === 0, `${counted(rows.ghost, 'ghost row')} after ${counted(deletes, 'delete')}`);
        }),
    },
    {
      id: 'states',
      claim: 'Query-based loses states between polls',
      property: 'Every state that committed is published',
      judge: (report) =>
        withEvents(report, ({ states, superseded, statesSeen, statesLost }) => {
          if (superseded === 0 && statesLost === 0) return unknown('no row changed twice in this run');
          return verdictIf(
            statesLost === 0,
            `${statesSeen} of ${states} states published${statesLost === 0 ? '' : ` (${percent(statesLost, states)} lost)`}; ${superseded} of them were replaced during the run`,
          );
        }),
    },
    {
      id: 'before-images',
      claim: 'Log-based sees insert, update and delete, with before-images',
      property: 'Updates and deletes carry the whole row as it was',
      judge: (report) =>
        withEvents(report, ({ beforeComplete, beforeIncomplete, beforeAbsent }) => {
          const all = beforeComplete + beforeIncomplete + beforeAbsent;
          if (all === 0) return unknown('no event of an update or delete came in this run');
          return verdictIf(
            beforeComplete === all,
            `${beforeComplete} of ${all} with the whole row${beforeIncomplete === 0 ? '' : `, ${beforeIncomplete} with a part`}`,
          );
        }),
    },
    {
      id: 'final-rows',
      claim: 'Query-based misses rows that commit late',
      property: 'Every row of the source is in the read model as it is',
      judge: ({ state }) => {
        const rows = totalRows(state);
        if (rows === null) return unknown('the read model was not compared');
        if (rows.source === 0) return unknown('the source has no rows');
        const wrong = rows.missing + rows.stale;
        if (wrong > 0 && sourceMoved) return unknown('the source changed while the rows were compared');
        return verdictIf(
          wrong === 0,
          `${rows.equal} of ${rows.source} rows equal${wrong === 0 ? '' : `, ${rows.missing} missing, ${rows.stale} stale`}`,
        );
      },
    },
    {
      id: 'order-view',
      claim: 'Both can keep a CQRS read model',
      property: "The order view equals the source's own query",
      judge: ({ state: { orderView } }) => {
        if (!orderView.measured) return unknown(orderView.why);
        const { source, equal, missing, ghost, stale } = orderView.value;
        if (source === 0) return unknown('the source has no orders');
        const wrong = missing.count + ghost.count + stale.count;
        if (wrong > 0 && sourceMoved) return unknown('the source changed while the rows were compared');
        return verdictIf(
          wrong === 0,
          `${equal} of ${source} orders equal${wrong === 0 ? '' : `, ${missing.count} missing, ${counted(ghost.count, 'ghost')}, ${stale.count} stale`}`,
        );
      },
    },
    {
      id: 'once',
      claim: 'A consumer must expect duplicates',
      property: 'No event came twice',
      judge: (report) =>
        withEvents(report, ({ duplicates, statesSeen, deletesSeen }) =>
          statesSeen + deletesSeen === 0
            ? unknown('no event came in this run')
            : verdictIf(duplicates === 0, `${duplicates} of ${statesSeen + deletesSeen + duplicates} events were repeats`),
        ),
    },
    {
      id: 'order',
      claim: 'Events come in commit order',
      property: "Each row's events came in the order in which its changes committed",
      judge: (report) =>
        withEvents(report, ({ outOfOrder, superseded }) =>
          superseded === 0
            ? unknown('no row changed twice in this run')
            : verdictIf(outOfOrder === 0, `${counted(outOfOrder, 'event')} out of order`),
        ),
    },
    {
      id: 'latency',
      claim: 'Log-based has lower latency',
      property: `95% of the states that arrive are in the read model within ${latencyLimitMs} ms`,
      judge: ({ latency: { toReadModel } }) =>
        toReadModel.measured ? within(toReadModel.value, latencyLimitMs, saturated) : unknown(toReadModel.why),
    },
    {
      id: 'delete-latency',
      claim: 'A sweep sees deletes late',
      property: `95% of the deletes are in the read model within ${latencyLimitMs} ms`,
      judge: (report) =>
        withEvents(report, ({ deletes, deletesSeen }) => {
          if (deletes === 0) return unknown('no row was deleted in this run');
          if (deletesSeen < 0.95 * deletes) return fails(`${deletesSeen} of ${deletes} deletes came at all`);
          const { deletesToReadModel } = report.latency;
          return deletesToReadModel.measured
            ? within(deletesToReadModel.value, latencyLimitMs, saturated)
            : unknown(deletesToReadModel.why);
        }),
    },
  ];
}

/** A limit that is kept on a saturated machine is kept on any; one that is missed there says nothing. */
function within({ n, p50, p95 }: Distribution, limitMs: number, saturated: string | null): Verdict {
  const figures = `p50 ${Math.round(p50)} ms, p95 ${Math.round(p95)} ms (n = ${n})`;
  if (p95 > limitMs && saturated !== null) return unknown(`${figures}, but ${saturated}`);
  return verdictIf(p95 <= limitMs, figures);
}

/** A common claim that this program does not measure yet: it is listed, not left out. */
function notYet(id: string, claim: string, property: string, why: string): Claim {
  return { id, claim, property, judge: () => unknown(why) };
}

function withEvents({ events }: StrategyReport, judge: (totals: EventTotals) => Verdict): Verdict {
  return events.measured ? judge(totalEvents(events.value)) : unknown(events.why);
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '0%' : `${((100 * part) / whole).toFixed(1)}%`;
}
