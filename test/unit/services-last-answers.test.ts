import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as assertProperty, constantFrom, integer, nat, oneof, property, record } from 'fast-check';
import { createLastAnswers, type KeptAnswer } from '#services/query-api/fallback/last-answers.ts';
import type { Asked } from '#services/query-api/http/table-answer.ts';

const bounds = { maxBytes: 20_000, maxAnswers: 4, maxAgeMs: 1000 };
const empty = { fingerprint: '', position: new Map<string, bigint>(), asOf: null, stalenessMs: null };

/** A row by its key, or a page. */
function question(number: number): Asked {
  const isRow = number % 2 === 0;
  return { name: 'orders', key: isRow ? [String(number)] : null, parameters: new URLSearchParams(isRow ? {} : { limit: String(number) }) };
}

function answer(body: string, values: Partial<KeptAnswer> = {}): KeptAnswer {
  return { table: 'orders', body, link: null, applied: empty, ageMs: 0, ...values };
}

const steps = array(
  oneof(
    record({
      kind: constantFrom('keep' as const),
      number: nat(15),
      letters: oneof(nat(50), nat(12_000)),
      link: constantFrom(0, 3000),
      places: constantFrom(0, 1, 60),
      ageMs: constantFrom(0, 1, 600),
    }),
    record({ kind: constantFrom('find' as const), number: nat(15) }),
    record({ kind: constantFrom('forget' as const), number: nat(15) }),
    record({ kind: constantFrom('pass' as const), ms: integer({ min: 1, max: 700 }) }),
  ),
  { maxLength: 80, size: 'max' },
);

test('last answers: whatever is kept and asked for, never more bytes or answers than the bounds, never one older than the bound, and each with its true age', () => {
  assertProperty(
    property(steps, (taken) => {
      let clock = 10_000;
      const answers = createLastAnswers(bounds, () => clock);
      /** Of each body that was ever kept. */
      const made = new Map<string, { readonly number: number; readonly bytes: number; readonly readAt: number }>();
      for (const step of taken) {
        if (step.kind === 'pass') clock += step.ms;
        if (step.kind === 'forget') {
          answers.forget(question(step.number));
          assert.equal(answers.find(question(step.number)), null);
        }
        if (step.kind === 'keep') {
          const body = `${made.size} ${'x'.repeat(step.letters)}`;
          const position = new Map(Array.from({ length: step.places }, (_, place) => [`topic/${place}`, 1n] as const));
          const link = 'l'.repeat(step.link);
          answers.keep(question(step.number), answer(body, { link, applied: { ...empty, position }, ageMs: step.ageMs }));
          // Two bytes a character, and what a position takes.
          const bytes = 2 * (body.length + link.length) + 100 * step.places;
          made.set(body, { number: step.number, bytes, readAt: clock - step.ageMs });
        }
        const { answers: count, bytes } = answers.figures;
        assert.ok(bytes <= bounds.maxBytes && count <= bounds.maxAnswers, `${bytes} bytes, ${count} answers`);
        const asked = step.kind === 'find' ? [step.number] : Array.from({ length: 16 }, (_, number) => number);
        let held = 0;
        for (const number of asked) {
          const found = answers.find(question(number));
          if (found === null) continue;
          const expected = made.get(found.body);
          assert.deepEqual([expected?.number, found.ageMs], [number, clock - (expected?.readAt ?? 0)]);
          assert.ok(found.ageMs <= bounds.maxAgeMs, `${found.ageMs} ms old`);
          held += expected?.bytes ?? 0;
        }
        assert.ok(held <= bounds.maxBytes, `${held} bytes are held`);
      }
    }),
    { numRuns: 300 },
  );
});

test('last answers: what is within the bounds is kept, rows and pages alike; beyond them the least recently used goes', () => {
  const few = createLastAnswers({ ...bounds, maxAnswers: 2 });
  for (const number of [1, 2]) few.keep(question(number), answer(`answer ${number}`));
  assert.deepEqual([few.find(question(1))?.body, few.figures.answers], ['answer 1', 2]);
  few.keep(question(3), answer('answer 3'));
  assert.deepEqual(
    [1, 2, 3].map((number) => few.find(question(number))?.body),
    ['answer 1', undefined, 'answer 3'],
  );
  const small = createLastAnswers({ ...bounds, maxBytes: 10_000 });
  const kept = (): readonly boolean[] => [1, 2, 3].map((number) => small.find(question(number)) !== null);
  small.keep(question(1), answer('x'.repeat(2000)));
  small.keep(question(2), answer('x'.repeat(5000)));
  assert.deepEqual(kept(), [true, false, false], 'one alone is larger than the bound of all');
  small.keep(question(3), answer('x'.repeat(3000)));
  assert.deepEqual(kept(), [false, false, true]);
});

test('last answers: one that was read before another does not take its place, though it comes later', () => {
  let clock = 100;
  const answers = createLastAnswers(bounds, () => clock);
  answers.keep(question(1), answer('newer'));
  clock += 50;
  answers.keep(question(1), answer('slower', { ageMs: 60 }));
  assert.equal(answers.find(question(1))?.body, 'newer');
  answers.keep(question(1), answer('newest', { ageMs: 20 }));
  assert.deepEqual([answers.find(question(1))?.body, answers.find(question(1))?.ageMs], ['newest', 20]);
});

test('last answers: with maxBytes 0 none is kept; too old ones count no more', () => {
  const none = createLastAnswers({ ...bounds, maxBytes: 0 });
  none.keep(question(1), answer('x'));
  assert.deepEqual([none.find(question(1)), none.figures.answers], [null, 0]);
  let clock = 100;
  const answers = createLastAnswers(bounds, () => clock);
  answers.keep(question(1), answer('x'));
  clock += bounds.maxAgeMs;
  assert.equal(answers.figures.answers, 1);
  clock += 1;
  assert.deepEqual(answers.figures, { answers: 0, bytes: 0 });
});
