import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { watchSilence } from '#kafka/kafkajs/silence-watch.ts';

test('silence is reported once, after its limit, and only when nothing was heard', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    let reported = 0;
    using watch = watchSilence(50_000, () => {
      reported += 1;
    });
    for (let second = 0; second < 100; second += 5) {
      mock.timers.tick(5000);
      watch.beat();
    }
    assert.equal(reported, 0);
    mock.timers.tick(49_999);
    assert.equal(reported, 0);
    mock.timers.tick(1);
    assert.equal(reported, 1);
    mock.timers.tick(100_000);
    assert.equal(reported, 1);
  } finally {
    mock.timers.reset();
  }
});

test('after its end nothing is reported', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    let reported = 0;
    watchSilence(50_000, () => {
      reported += 1;
    })[Symbol.dispose]();
    mock.timers.tick(100_000);
    assert.equal(reported, 0);
  } finally {
    mock.timers.reset();
  }
});
