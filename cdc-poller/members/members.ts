import type { ProcessFigures } from '../metrics/prometheus.ts';
import type { Member, TableOffer } from './member.ts';
import type { MemberThread } from './member-threads.ts';

/** All threads of a poller process that poll: the main one, and `poller.threads` less one besides. */
export type Members = {
  offer(offer: TableOffer): Promise<void>;
  /** Figures of all threads together, as they answer; of one that does not, what it said last. `silent` names each of these, one sentence each. */
  look(): Promise<{ readonly figures: ProcessFigures; readonly silent: readonly string[] }>;
  /** As Member.ended. A thread that ends before it was to ends the process: to go on without it would leave its tables to nobody for a while. */
  readonly ended: Promise<void>;
};

/** What is asked of the main thread's member. */
type OwnMember = Pick<Member, 'offer' | 'figures' | 'ended'> & { readonly context: Pick<Member['context'], 'refused'> };

export function allMembers(own: OwnMember, threads: readonly MemberThread[]): Members {
  const last = new Map<MemberThread, ProcessFigures>();
  return {
    async offer(offer) {
      // At once: whoever joined alone would begin with tables that others are to have. To its end: whoever is offered again while it joins would join twice.
      const joined = await Promise.allSettled([own.offer(offer), ...threads.map((thread) => thread.offer(offer, own.context.refused))]);
      for (const result of joined) if (result.status === 'rejected') throw result.reason;
    },
    async look() {
      const answers = await Promise.all(threads.map(async (thread) => [thread, await thread.figures()] as const));
      for (const [thread, figures] of answers) if (figures !== null) last.set(thread, figures);
      const silent = answers.flatMap(([{ number }, figures]) => (figures === null ? [`thread ${number} does not answer`] : []));
      return { figures: together(own.figures(), [...last.values()]), silent };
    },
    ended: Promise.race([own.ended, ...threads.map(({ failed }) => failed)]),
  };
}

/** Pure. The process is a member where all its threads are. A table that is moving from one to another is shown once. */
export function together(own: ProcessFigures, others: readonly ProcessFigures[]): ProcessFigures {
  const tables = new Map([own, ...others].flatMap(({ tables: some }) => some.map((figures) => [figures.table, figures] as const)));
  const member = own.member === null ? null : [own, ...others].every((figures) => figures.member === true);
  return { ...own, member, tables: [...tables.values()] };
}
