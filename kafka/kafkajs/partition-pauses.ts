import type { Consumer } from 'kafkajs';

/** Pauses partitions of a consumer for a time each; a partition that is paused already is paused for the new time, from now on. */
export function createPauses(consumer: Consumer): (topic: string, partition: number, ms: number) => void {
  const resting = new Map<string, NodeJS.Timeout>();
  return (topic, partition, ms) => {
    const place = [{ topic, partitions: [partition] }];
    const name = `${topic}/${partition}`;
    consumer.pause(place);
    clearTimeout(resting.get(name));
    const resume = (): void => {
      resting.delete(name);
      // A consumer that has ended knows no pauses any more.
      if (consumer.paused().some((one) => one.topic === topic)) consumer.resume(place);
    };
    // The consumer's own timers keep the process; this one must not outlive them.
    resting.set(name, setTimeout(resume, ms).unref());
  };
}
