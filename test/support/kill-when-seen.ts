import type { PipelineConfig } from '#pipeline/index.ts';
import type { TopicObserver } from './kafka.ts';
import { spawnPoller } from './poller.ts';

/** What our encoder ends the JSON of an event with: its kind, and when it was made. */
const tail = /"op":"(?<op>\w)","ts_ms":(?<ms>\d+)\}$/;

/**
 * Runs pollers one after the other, and kills each (kill -9) when an event that it has published itself has just been seen. `insert` gives each
 * of them something to publish, also when the load is over.
 *
 * @returns how many kills met the load in its middle: the next poller went on with it
 */
export async function killWhenSeen(
  observer: TopicObserver,
  config: PipelineConfig,
  kills: number,
  insert: () => Promise<unknown>,
): Promise<number> {
  const { messages } = observer;
  let inLoad = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    let next = messages.length;
    let op: string | undefined;
    const startedAt = Date.now();
    await using poller = await spawnPoller(config);
    await insert();
    // What comes late of the poller before was made before.
    const isSeen = (): boolean => {
      for (; op === undefined && next < messages.length; next += 1) {
        const found = tail.exec(String(messages[next]?.value?.subarray(-60)))?.groups;
        if (Number(found?.['ms']) >= startedAt) op = found?.['op'];
      }
      return op !== undefined;
    };
    await observer.until(isSeen, () => `an event of poller ${kill} among ${messages.length}; it says:\n${poller.log()}`);
    await poller.kill('SIGKILL');
    if (kill > 0 && op === 'r') inLoad += 1;
  }
  return inLoad;
}
