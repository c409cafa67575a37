import kafkajs from 'kafkajs';
import { testKafkaConfig } from './kafka.ts';

/** What the broker says of a group: its members' client ids, and how many partitions each holds; empty while it shares them out. */
export async function groupHolders(groupId: string): Promise<readonly (readonly [clientId: string, partitions: number])[]> {
  const { brokers } = await testKafkaConfig();
  const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const { groups } = await admin.describeGroups([groupId]);
    const [group] = groups;
    if (group?.state !== 'Stable') return [];
    return group.members.map(({ clientId, memberAssignment }) => {
      const decoded = kafkajs.AssignerProtocol.MemberAssignment.decode(memberAssignment);
      return [clientId, Object.values(decoded?.assignment ?? {}).flat().length] as const;
    });
  } finally {
    await admin.disconnect();
  }
}
