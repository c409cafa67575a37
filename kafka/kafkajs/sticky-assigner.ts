import kafkajs, { type Assigner, type Cluster, type GroupMember, type GroupMemberAssignment, type PartitionAssigner } from 'kafkajs';
import * as z from 'zod';
import { assignSticky, type StickyMember } from './sticky-assignment.ts';

/** A partition assigner of one consumer, and its memory of what the consumer has. */
export type StickyAssigner = {
  readonly assigner: PartitionAssigner;
  /** To be called with each assignment; it travels to the group's leader with the next join. */
  keep(assignment: Readonly<Record<string, readonly number[]>>): void;
};

const userData = z.object({ owned: z.array(z.string()), since: z.number() });

/** kafkajs brings a round-robin assigner only. Partitions are named by `topic/partition` texts. */
export function stickyAssigner(): StickyAssigner {
  let mine: z.infer<typeof userData> = { owned: [], since: 0 };
  return {
    keep(assignment) {
      const owned = Object.entries(assignment).flatMap(([topic, partitions]) => partitions.map((partition) => `${topic}/${partition}`));
      mine = { owned, since: Date.now() };
    },
    assigner: ({ cluster }): Assigner => ({
      name: 'sticky-by-count',
      version: 1,
      protocol: ({ topics }) => ({
        name: 'sticky-by-count',
        metadata: kafkajs.AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.from(JSON.stringify(mine)) }),
      }),
      assign: async ({ members, topics }) => assign(members, topics, cluster),
    }),
  };
}

function assign(members: readonly GroupMember[], topics: readonly string[], cluster: Cluster): GroupMemberAssignment[] {
  const partitions = topics.flatMap((topic) =>
    cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => ({ topic, partitionId, name: `${topic}/${partitionId}` })),
  );
  const shares = assignSticky(
    members.map(readMember),
    partitions.map(({ name }) => name),
  );
  return [...shares].map(([memberId, names]) => {
    const assignment: Record<string, number[]> = {};
    for (const { topic, partitionId, name } of partitions) if (names.includes(name)) (assignment[topic] ??= []).push(partitionId);
    return {
      memberId,
      memberAssignment: kafkajs.AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) }),
    };
  });
}

function readMember({ memberId, memberMetadata }: GroupMember): StickyMember {
  const text = kafkajs.AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData.toString() ?? '';
  const parsed = userData.safeParse(text === '' ? {} : JSON.parse(text));
  return { id: memberId, owned: parsed.data?.owned ?? [], since: parsed.data?.since ?? 0 };
}
