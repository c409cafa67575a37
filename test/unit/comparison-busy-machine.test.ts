import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isSaturated, watchProcessors, whySaturated, type ProcessorSample } from '#comparison/cost/saturation.ts';
import { waitForTopics, type TopicsWatch } from '#comparison/wait-for-topics.ts';
import { CdcError } from '#pipeline/index.ts';

function sample(totalMs: number, idleMs: number): ProcessorSample {
  return { totalMs, idleMs };
}

suite('saturation of the processors', () => {
  test('a span counts as saturated when next to nothing of it was idle', () => {
    assert.equal(isSaturated(sample(1000, 500), sample(3000, 520)), true);
    assert.equal(isSaturated(sample(1000, 500), sample(3000, 700)), false);
    // Two looks within one tick of the clock.
    assert.equal(isSaturated(sample(1000, 500), sample(1000, 500)), false);
  });

  test('single full seconds of a run say nothing, more of them do', () => {
    assert.equal(whySaturated({ processors: 2, spans: 0, saturated: 0 }), null);
    assert.equal(whySaturated({ processors: 2, spans: 40, saturated: 2 }), null);
    assert.match(
      whySaturated({ processors: 2, spans: 40, saturated: 3 }) ?? '',
      /^the 2 processors of this machine were saturated in 3 of 40 s/,
    );
  });

  test('the processors are looked at by their own figures', (context) => {
    context.mock.timers.enable({ apis: ['setInterval'] });
    let totalMs = 0;
    using watch = watchProcessors(() => ({ totalMs: (totalMs += 2000), idleMs: 100 }));
    context.mock.timers.tick(5000);
    const { spans, saturated } = watch.soFar();
    assert.deepEqual([spans, saturated], [5, 5]);
  });
});

suite('waiting for topics', () => {
  const topics = ['a', 'b', 'c', 'd'];
  const signal = AbortSignal.timeout(60_000);

  /** A look shows one topic more after every `slowness` looks. */
  function watch(slowness: number, options: Partial<TopicsWatch> = {}): TopicsWatch & { readonly said: string[] } {
    let looks = 0;
    const said: string[] = [];
    const list = async (): Promise<readonly string[]> => topics.slice(0, Math.floor(looks++ / slowness));
    return { list, progress: (text) => said.push(text), signal, lookEveryMs: 1, stillMs: 50, sayEveryMs: 5, said, ...options };
  }

  test('lasts for as long as topics come, far beyond the longest wait without one, and says what is missing', async () => {
    let now = 0;
    // Each look takes 20 ms of a clock that is not this machine's: 4 topics in 8 looks.
    const patient = watch(2, { stillMs: 50, now: () => (now += 20) });
    await waitForTopics(topics, patient);
    assert.ok(now > 150, String(now));
    assert.match(patient.said.join('\n'), /of 4 topics are not made yet: /);
  });

  test('ends when none comes any more, naming those that are missing', async () => {
    let now = 0;
    const stuck = watch(1, { list: async () => ['a'], now: () => (now += 20) });
    await assert.rejects(
      waitForTopics(topics, stuck),
      (error) =>
        error instanceof CdcError && error.code === 'TOPIC_MISSING' && error.message.includes('3 of 4 topics are not made yet: b, c, d'),
    );
  });

  test('ends at once when whoever is to make them has ended', async () => {
    const gone = watch(1, { list: async () => [], requireMakers: () => Promise.reject(new Error('poller has ended')) });
    await assert.rejects(waitForTopics(topics, gone), /poller has ended/);
  });
});
