import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Backoff } from '../src/backoff.js';

test('the range doubles up to the cap', () => {
    const backoff = new Backoff({ base: 500, cap: 4000, random: () => 1 });
    const delays = [1, 2, 3, 4, 5, 6].map(() => backoff.next());
    assert.deepEqual(delays, [500, 1000, 2000, 4000, 4000, 4000]);
    assert.equal(backoff.attempts, 6);
});

test('jitter covers the whole range', () => {
    const backoff = new Backoff({ base: 500, cap: 4000, random: () => 0 });
    assert.equal(backoff.next(), 0);
    assert.equal(backoff.next(), 0);
});

test('reset begins again', () => {
    const backoff = new Backoff({ base: 500, cap: 4000, random: () => 1 });
    backoff.next();
    backoff.next();
    backoff.reset();
    assert.equal(backoff.attempts, 0);
    assert.equal(backoff.next(), 500);
});

test('a floor is added, a spread widens', () => {
    const backoff = new Backoff({ base: 500, cap: 4000, random: () => 0.5 });
    assert.equal(backoff.next({ floor: 1000 }), 1250);
    assert.equal(backoff.next({ spread: 2000 }), 1000);
    assert.equal(backoff.next({ spread: 2000 }), 1000);
    assert.equal(backoff.next({ spread: 2000 }), 2000);
});

test('thousands of attempts stay at the cap', () => {
    const backoff = new Backoff({ base: 500, cap: 4000, random: () => 1 });
    for (let i = 0; i < 5000; i++) {
        backoff.next();
    }
    assert.equal(backoff.next(), 4000);
});
