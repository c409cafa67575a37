import kafkajs, { type Admin } from 'kafkajs';
import { testKafkaConfig } from './kafka.ts';

async function asking<T>(ask: (admin: Admin) => Promise<T>): Promise<T> {
  const { brokers } = await testKafkaConfig();
  const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await ask(admin);
  } finally {
    await admin.disconnect();
  }
}

/** What the broker says of a group: its members' client ids, and how many partitions each holds; empty while it shares them out. */
export async function groupHolders(groupId: string): Promise<readonly (readonly [clientId: string, partitions: number])[]> {
  const { groups } = await asking((admin) => admin.describeGroups([groupId]));
  const [group] = groups;
  if (group?.state !== 'Stable') return [];
  return group.members.map(({ clientId, memberAssignment }) => {
    const decoded = kafkajs.AssignerProtocol.MemberAssignment.decode(memberAssignment);
    return [clientId, Object.values(decoded?.assignment ?? {}).flat().length] as const;
  });
}

/** The groups that the broker knows, whose names begin so. */
export async function groupsNamed(prefix: string): Promise<readonly string[]> {
  const { groups } = await asking((admin) => admin.listGroups());
  return groups
    .map(({ groupId }) => groupId)
    .filter((groupId) => groupId.startsWith(prefix))
    .toSorted();
}
