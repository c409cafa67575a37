import type { PollerTableConfig } from '#pipeline/index.ts';
import type { PollerContext } from '../supervisor/context.ts';
import { joinGroup, type GroupMembership } from './group-membership.ts';
import type { TableSlots } from './table-slots.ts';

/** How this process comes by the tables that it polls. */
export type Share = AsyncDisposable & {
  /** The tables that there are, and their slots where they are shared; `want` is called with those to be polled here, now and whenever it changes. */
  offer(offer: { readonly tables: readonly PollerTableConfig[]; readonly slots: TableSlots }): Promise<void>;
  /** Null when nothing is shared. */
  isMember(): boolean | null;
  /** As in TableAssignment. */
  readonly confirmed: ((signal: AbortSignal) => Promise<void>) | null;
};

type Want = (tables: readonly PollerTableConfig[], all: boolean) => void;

/** Every table is this process's, until a newer one takes it. */
export function takeAll(want: Want): Share {
  return {
    offer: async ({ tables }) => want(tables, true),
    isMember: () => null,
    confirmed: null,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** The tables are shared with the other processes of the same poller name; to dispose it leaves the group, which hands its tables on at once. */
export function shareInGroup({ kafka, poller, logger }: PollerContext, want: Want): Share {
  let offered = new Map<string, PollerTableConfig>();
  let mine: { readonly tables: ReadonlySet<string>; readonly all: boolean } = { tables: new Set(), all: false };
  let membership: GroupMembership | null = null;
  const announce = (): void => {
    const unknown = [...mine.tables].filter((table) => !offered.has(table));
    if (unknown.length > 0) logger.warn({ tables: unknown }, 'tables that this configuration does not name are left alone');
    want(
      [...offered.values()].filter(({ table }) => mine.tables.has(table)),
      mine.all,
    );
  };
  return {
    async offer({ tables, slots }) {
      offered = new Map(tables.map((table) => [table.table, table]));
      if (membership !== null) {
        membership.learn(slots);
        announce();
        return;
      }
      membership = await joinGroup({
        kafka,
        pollerName: poller.name,
        sessionTimeoutMs: poller.sessionTimeoutMs,
        slots,
        logger,
        onTables: (assigned, all) => {
          mine = { tables: assigned, all };
          announce();
        },
      });
    },
    isMember: () => membership?.isMember() ?? false,
    confirmed: async (until) => membership?.confirmed(until),
    async [Symbol.asyncDispose]() {
      await membership?.[Symbol.asyncDispose]();
    },
  };
}
