import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createCopyTrials } from '#read-model/mirrors/copy-trials.ts';
import { copyText } from '#read-model/decode/values/copy-text.ts';

/** How many of the next `batches` of a table are tried, each ending as given. */
function tried(trials: ReturnType<typeof createCopyTrials>, batches: number, succeeds: boolean): number {
  let count = 0;
  for (let batch = 0; batch < batches; batch += 1) {
    if (!trials.isWorth('orders', 1000)) continue;
    count += 1;
    trials.ended('orders', succeeds);
  }
  return count;
}

test('COPY is tried for every large batch, as long as it succeeds', () => {
  const trials = createCopyTrials();
  assert.equal(tried(trials, 50, true), 50);
  assert.equal(trials.isWorth('orders', 10), false);
});

test('each failure makes the time until the next trial longer, up to a bound; a success ends it; other tables are not concerned', () => {
  const trials = createCopyTrials();
  // Rests of 4, 8, 16 … batches.
  assert.equal(tried(trials, 1 + 4 + 1 + 8 + 1, false), 3);
  assert.ok(trials.isWorth('customers', 1000));
  assert.ok(tried(trials, 100_000, false) > 300, 'it is tried again for ever');
  while (!trials.isWorth('orders', 1000));
  trials.ended('orders', true);
  assert.equal(tried(trials, 10, true), 10);
});

/** COPY's text format, read as Postgres's documentation has it. */
function readCopy(text: string): (string | null)[][] {
  const escapes: Readonly<Record<string, string>> = { '\\\\': '\\', '\\t': '\t', '\\n': '\n', '\\r': '\r' };
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) =>
      line
        .split('\t')
        .map((cell) => (cell === String.raw`\N` ? null : cell.replaceAll(/\\./gs, (pair) => escapes[pair] ?? `unknown ${pair}`))),
    );
}

test('rows come out of the text of COPY as they went in, over the borders of chunks', () => {
  const cell = fc.option(
    fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', '\\', String.raw`\N`, String.raw`\.`, '\t', '\n', '\r\n')),
  );
  const rows = fc.array(fc.record({ cells: fc.tuple(cell, cell), lsn: fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })) }), {
    minLength: 1,
  });
  fc.assert(
    fc.property(rows, fc.nat(70_000), (given, padding) => {
      const padded = given.map(({ cells: [first, second], lsn }) => ({ cells: [first, (second ?? '') + 'x'.repeat(padding)], lsn }));
      for (const some of [given, padded]) {
        const chunks = copyText(some, [false, false]);
        // A lone surrogate has no bytes.
        const expected = some.map(({ cells, lsn }) => [
          ...cells.map((value) => (value === null || value === undefined ? null : value.toWellFormed())),
          lsn === null ? null : String(lsn),
        ]);
        assert.deepEqual(readCopy(Buffer.concat(chunks).toString()), expected);
      }
    }),
  );
});

test('no chunk is larger than what the server should take at once, but for the row that fills it', () => {
  const row = { cells: ['1', 'x'.repeat(1000)], lsn: 1 };
  const chunks = copyText(
    Array.from({ length: 500 }, () => row),
    [true, false],
  );
  assert.ok(chunks.length > 5);
  for (const chunk of chunks) assert.ok(chunk.length < 70_000);
});
