import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as assertProperty, boolean, constantFrom, integer, option, property, record } from 'fast-check';
import { decide, freshMemory, type GuardAction, type GuardMemory, type GuardView, type SourceView } from '#connectors/guard/decide.ts';
import { beatEveryMs } from '#connectors/heartbeat.ts';
import { pipelineSchema, type GuardConfig } from '#pipeline/index.ts';

function policyOf(settings: Readonly<Record<string, number>> = {}): GuardConfig {
  return pipelineSchema.shape.connect.unwrap().parse({
    guard: { restartBackoffMs: 1000, restartBackoffMaxMs: 60_000, restartMax: 3, warnBytes: 1000, warnHeartbeatMs: 10_000, ...settings },
  }).guard;
}

const seen = (source: Partial<SourceView> & { readonly retained?: number } = {}): SourceView => ({
  kind: 'seen',
  slot: { name: 'cdc_slot', retainedBytes: source.retained ?? 10 },
  beatAgeMs: 500,
  beatEveryMs: 500,
  loss: { kind: 'none' },
  unpublished: [],
  publication: 'cdc_publication',
  ...source,
});
const view = (at: number, connector: GuardView['connector'], source: GuardView['source'] = seen()): GuardView => ({
  at,
  connector,
  cause: connector === 'failed' ? 'publication is gone' : undefined,
  source,
});
const loss = { kind: 'lost', reason: 'dropped', text: 'changes are lost' } as const;

/** The guard over a series of views: what it did at each. */
function follow(policy: GuardConfig, views: readonly GuardView[]): { actions: GuardAction[][]; memory: GuardMemory } {
  let memory = freshMemory;
  const actions = views.map((each) => {
    const decision = decide(policy, memory, each);
    memory = decision.memory;
    return [...decision.actions];
  });
  return { actions, memory };
}
const brief = (actions: readonly GuardAction[]): string[] =>
  actions.map((action) => (action.kind === 'alarm' || action.kind === 'clear' ? `${action.kind} ${action.alarm}` : action.kind));

test('a connector that is well brings neither alarm nor action', () => {
  assert.deepEqual(follow(policyOf({ dropSlotBytes: 5000 }), [view(0, 'running'), view(10_000, 'running')]).actions, [[], []]);
});

test('a FAILED connector is restarted after a wait that doubles, and at most so many times; then a person is called', () => {
  const every = Array.from({ length: 120 }, (_, second) => view(second * 500, 'failed'));
  const { actions } = follow(policyOf(), every);
  const restarts = actions.flatMap((each, index) => (brief(each).includes('restart') ? [index * 500] : []));
  assert.deepEqual(restarts, [1000, 3000, 7000]);
  assert.deepEqual(
    actions.flatMap(brief).filter((action) => action !== 'restart'),
    ['alarm failed', 'alarm given-up'],
  );
});

test('a loss that was reported holds while it cannot be looked at, and what cannot be looked at is no loss', () => {
  const unseen = seen({ loss: { kind: 'unknown', text: 'Connect is silent' } });
  const views = [view(0, 'failed', seen({ loss })), view(1000, 'unknown', unseen), view(2000, 'running')];
  assert.deepEqual(
    follow(policyOf(), views).actions.map((each) => brief(each).filter((action) => action.endsWith(' loss'))),
    [['alarm loss'], [], ['clear loss']],
  );
  assert.deepEqual(follow(policyOf(), [view(0, 'unknown', unseen)]).actions.flatMap(brief), ['alarm connect-unknown']);
});

/** It fails, is restarted, and runs for so long. */
function spell(at: number, healthyMs: number): GuardView[] {
  return [view(at, 'failed'), view(at + 8000, 'failed'), view(at + 8100, 'running'), view(at + 8100 + healthyMs, 'running')];
}

test('a connector that fails right after each restart gets no new restarts; one that ran steadily does', () => {
  const policy = policyOf();
  const count = (views: GuardView[]): number =>
    follow(policy, views)
      .actions.flat()
      .filter(({ kind }) => kind === 'restart').length;
  assert.equal(count([0, 1, 2, 3, 4, 5].flatMap((round) => spell(round * 10_000, 100))), 3);
  assert.equal(count([0, 1, 2, 3, 4, 5].flatMap((round) => spell(round * 20_000, 9000))), 6);
});

test('a connector that has lost changes is never restarted over the hole, and the loss is reported once', () => {
  const views = [0, 5000, 10_000, 60_000].map((at) => view(at, 'failed', seen({ slot: null, loss })));
  assert.deepEqual(follow(policyOf(), views).actions.flatMap(brief), ['alarm loss', 'alarm failed']);
});

test('a connector that somebody paused is not restarted, and its missing heartbeat is no alarm', () => {
  assert.deepEqual(
    follow(policyOf(), [view(0, 'halted', seen({ beatAgeMs: 1e6 })), view(1e6, 'halted', seen({ beatAgeMs: 2e6 }))]).actions,
    [[], []],
  );
});

test('retention warns at its limit and at each doubling, and says when it is over', () => {
  const views = [10, 1000, 1500, 1999, 2000, 3000, 4000, 10].map((retained, index) => view(index * 1000, 'running', seen({ retained })));
  assert.deepEqual(
    follow(policyOf(), views).actions.map((each) => brief(each).join()),
    ['', 'alarm retention', '', '', 'alarm retention', '', 'alarm retention', 'clear retention'],
  );
});

test('a slot is dropped at the limit of the policy, and without a policy never', () => {
  const over = view(0, 'failed', seen({ retained: 5000 }));
  assert.deepEqual(brief(decide(policyOf({ dropSlotBytes: 5000 }), freshMemory, over).actions), [
    'alarm retention',
    'alarm failed',
    'drop-slot',
  ]);
  assert.deepEqual(brief(decide(policyOf({ dropSlotBytes: 5001 }), freshMemory, over).actions), ['alarm retention', 'alarm failed']);
  const huge = view(0, 'halted', seen({ retained: Number.MAX_SAFE_INTEGER }));
  assert.deepEqual(brief(decide(policyOf(), freshMemory, huge).actions), ['alarm retention']);
});

test('what cannot be seen is an alarm of its own: nothing is dropped, and what held before is not over', () => {
  const blind = view(0, 'unknown', { kind: 'unknown', cause: 'no answer' });
  const { actions, memory } = follow(policyOf({ dropSlotBytes: 5000 }), [view(0, 'running', seen({ retained: 4000 })), blind, blind]);
  assert.deepEqual(actions.map(brief), [['alarm retention'], ['alarm source-unknown', 'alarm connect-unknown'], []]);
  assert.deepEqual(memory.alarms, ['source-unknown', 'connect-unknown', 'retention']);
});

test('an old heartbeat of a connector that is said to run is an alarm, and not over because Connect is away', () => {
  const { memory } = follow(policyOf(), [view(0, 'running', seen({ beatAgeMs: 10_001 })), view(1, 'unknown', seen({ beatAgeMs: null }))]);
  assert.deepEqual(memory.alarms, ['connect-unknown', 'heartbeat']);
  assert.deepEqual(brief(decide(policyOf(), freshMemory, view(0, 'running', seen({ beatAgeMs: 10_001 }))).actions), ['alarm heartbeat']);
});

test('a captured table that is not published is an alarm', () => {
  const action = decide(policyOf(), freshMemory, view(0, 'running', seen({ unpublished: ['public.orders'] }))).actions[0];
  assert.ok(action?.kind === 'alarm' && action.alarm === 'unpublished');
  assert.match(action.text, /public\.orders not in publication cdc_publication: its changes are not captured/);
});

test('a policy that would drop before it warns is refused', () => {
  assert.throws(() => policyOf({ dropSlotBytes: 1000 }), /dropSlotBytes/);
});

const anyView = record({
  connector: constantFrom<GuardView['connector']>('running', 'failed', 'halted', 'pending', 'absent', 'unknown'),
  retained: option(integer({ min: 0, max: 20_000 })),
  lost: boolean(),
  blind: boolean(),
});

test('whatever happens: restarts in a row stay below the maximum, no restart over a loss, no drop below the limit or unseen', () => {
  assertProperty(
    property(array(anyView, { maxLength: 60 }), (looks) => {
      const policy = policyOf({ dropSlotBytes: 5000 });
      let memory = freshMemory;
      for (const [index, { connector, retained, lost, blind }] of looks.entries()) {
        const source: GuardView['source'] = blind
          ? { kind: 'unknown', cause: 'x' }
          : seen({ slot: retained === null ? null : { name: 's', retainedBytes: retained }, loss: lost ? loss : { kind: 'none' } });
        const decision = decide(policy, memory, view(index * 10_000, connector, source));
        const kinds = new Set(decision.actions.map(({ kind }) => kind));
        if (kinds.has('drop-slot')) assert.ok(!blind && retained !== null && retained >= 5000);
        if (kinds.has('restart')) assert.ok(connector === 'failed' && (blind || !lost) && decision.memory.restarts <= 3);
        assert.ok(decision.memory.restarts <= 3);
        assert.equal(new Set(decision.memory.alarms).size, decision.memory.alarms.length);
        memory = decision.memory;
      }
    }),
  );
});

test('a heartbeat that is due every few minutes is late after three of them, not after warnHeartbeatMs', () => {
  const views = [350_000, 361_000].map((beatAgeMs) => view(beatAgeMs, 'running', seen({ beatAgeMs, beatEveryMs: 120_000 })));
  assert.deepEqual(follow(policyOf(), views).actions.map(brief), [[], ['alarm heartbeat']]);
});

test('how often a connector beats: as its heartbeat says, on a binlog no sooner than it looks after its connection', () => {
  const maria = { 'connector.class': 'io.debezium.connector.mariadb.MariaDbConnector', 'heartbeat.interval.ms': '5000' };
  assert.equal(beatEveryMs({ 'heartbeat.interval.ms': '5000' }), 5000);
  assert.equal(beatEveryMs({}), 0);
  assert.equal(beatEveryMs(maria), 60_000);
  assert.equal(beatEveryMs({ ...maria, 'connect.keep.alive.interval.ms': '10000' }), 10_000);
});
