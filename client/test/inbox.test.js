import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { AckBatch } from '../src/ack-batch.js';
import { Inbox } from '../src/inbox.js';
import { KeyMemory } from '../src/key-memory.js';
import { Timers } from '../src/timers.js';
import { FakeClock, settled } from './support/fakes.js';

let given;
let acknowledged;
let failures;
let overflows;

beforeEach(() => {
    given = [];
    acknowledged = [];
    failures = [];
    overflows = 0;
});

function inbox(options = {}) {
    return new Inbox({
        remember: 100,
        backlog: 100,
        deliver: (news, key) => {
            given.push(`${key}=${news}`);
        },
        acknowledge: (key) => acknowledged.push(key),
        failed: (error, key) => failures.push([error.message, key]),
        overflow: () => overflows++,
        ...options,
    });
}

/** A deliver() whose promises a test settles one by one. */
function slow() {
    const open = [];
    return {
        open,
        deliver: (news, key) => {
            given.push(key);
            return new Promise((resolve, reject) => {
                open.push({ resolve, reject });
            });
        },
    };
}

test('news are given in order and acknowledged at once', () => {
    const subject = inbox();
    subject.receive({ '7-b': 1, '8-a': 2 });
    subject.receive({ '9-c': 3 });
    assert.deepEqual(given, ['7-b=1', '8-a=2', '9-c=3']);
    assert.deepEqual(acknowledged, ['7-b', '8-a', '9-c']);
});

test('a key is given once and acknowledged as often as it comes', () => {
    const subject = inbox();
    subject.receive({ '7-b': 1 });
    subject.receive({ '7-b': 1, '8-a': 2 });
    assert.deepEqual(given, ['7-b=1', '8-a=2']);
    assert.deepEqual(acknowledged, ['7-b', '7-b', '8-a']);
});

test('a promise holds back what follows, and its acknowledgement', async () => {
    const { open, deliver } = slow();
    const subject = inbox({ deliver });
    subject.receive({ '1-a': 0, '2-b': 0 });
    subject.receive({ '1-a': 0, '3-c': 0 });
    assert.deepEqual(given, ['1-a']);
    assert.deepEqual(acknowledged, []);
    open[0].resolve();
    await settled();
    assert.deepEqual(given, ['1-a', '2-b']);
    assert.deepEqual(acknowledged, ['1-a']);
    open[1].resolve();
    await settled();
    open[2].resolve();
    await settled();
    assert.deepEqual(given, ['1-a', '2-b', '3-c']);
    assert.deepEqual(acknowledged, ['1-a', '2-b', '3-c']);
});

test('what the application fails on is not acknowledged and may come again',
    async () => {
        const { open, deliver } = slow();
        const subject = inbox({ deliver });
        subject.receive({ '1-a': 0, '2-b': 0 });
        open[0].reject(new Error('storage is full'));
        await settled();
        open[1].resolve();
        await settled();
        assert.deepEqual(failures, [['storage is full', '1-a']]);
        assert.deepEqual(acknowledged, ['2-b']);
        subject.receive({ '1-a': 0 });
        open[2].resolve();
        await settled();
        assert.deepEqual(given, ['1-a', '2-b', '1-a']);
        assert.deepEqual(acknowledged, ['2-b', '1-a']);
    });

test('a callback that throws disturbs no other message', () => {
    const subject = inbox({
        deliver: (news, key) => {
            given.push(key);
            if (news === 'bad') {
                throw new Error('bad news');
            }
        },
    });
    subject.receive({ '1-a': 'bad', '2-b': 'good' });
    assert.deepEqual(given, ['1-a', '2-b']);
    assert.deepEqual(failures, [['bad news', '1-a']]);
    assert.deepEqual(acknowledged, ['2-b']);
});

test('news that arrive from within the callback keep their turn', () => {
    const subject = inbox({
        deliver: (news, key) => {
            given.push(`begin ${key}`);
            if (key === '1-a') {
                subject.receive({ '2-b': 0 });
            }
            given.push(`end ${key}`);
        },
    });
    subject.receive({ '1-a': 0 });
    assert.deepEqual(given, ['begin 1-a', 'end 1-a', 'begin 2-b', 'end 2-b']);
});

test('over the backlog nothing is skipped: the rest is asked for again',
    async () => {
        const { open, deliver } = slow();
        const subject = inbox({ deliver, backlog: 2 });
        subject.receive({ '1-a': 0, '2-b': 0, '3-c': 0 });
        open[0].resolve();
        await settled();
        subject.receive({ '4-d': 0 }); // there is room, but not its turn
        assert.equal(overflows, 0);
        open[1].resolve();
        await settled();
        assert.equal(overflows, 1);
        assert.deepEqual(given, ['1-a', '2-b']);
        subject.receive({ '3-c': 0, '4-d': 0 });
        open[2].resolve();
        await settled();
        open[3].resolve();
        await settled();
        assert.deepEqual(given, ['1-a', '2-b', '3-c', '4-d']);
        assert.equal(overflows, 1);
    });

test('clear forgets what waits, but not what the application has', async () => {
    const { open, deliver } = slow();
    const subject = inbox({ deliver });
    subject.receive({ '1-a': 0, '2-b': 0 });
    subject.clear();
    subject.receive({ '1-a': 0, '3-c': 0 });
    open[0].resolve();
    await settled();
    open[1].resolve();
    await settled();
    assert.deepEqual(given, ['1-a', '3-c']);
    assert.deepEqual(acknowledged, ['1-a', '3-c']);
});

test('the memory of keys is bounded, the oldest goes first', () => {
    const memory = new KeyMemory(2);
    memory.add('a');
    memory.add('b');
    memory.add('a');
    memory.add('c');
    assert.deepEqual(['a', 'b', 'c'].map((key) => memory.has(key)),
        [true, false, true]);
});

function batch(clock, sent, options = {}) {
    return new AckBatch({
        size: 3,
        delay: 50,
        timers: new Timers(clock),
        transmit: (keys) => sent.push(keys),
        ...options,
    });
}

test('acknowledgements wait a moment and leave together', () => {
    const clock = new FakeClock();
    const sent = [];
    const subject = batch(clock, sent);
    subject.resume();
    subject.add('a');
    clock.advance(30);
    subject.add('b');
    clock.advance(19);
    assert.deepEqual(sent, []);
    clock.advance(1);
    assert.deepEqual(sent, [['a', 'b']]);
    assert.equal(clock.running, 0);
});

test('a full batch leaves at once', () => {
    const clock = new FakeClock();
    const sent = [];
    const subject = batch(clock, sent);
    subject.resume();
    for (const key of ['a', 'b', 'b', 'c', 'd']) {
        subject.add(key);
    }
    assert.deepEqual(sent, [['a', 'b', 'c']]);
    clock.advance(50);
    assert.deepEqual(sent, [['a', 'b', 'c'], ['d']]);
});

test('without a session acknowledgements wait, then leave in batches', () => {
    const clock = new FakeClock();
    const sent = [];
    const subject = batch(clock, sent);
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
        subject.add(key);
    }
    subject.flush();
    assert.deepEqual(sent, []);
    assert.equal(clock.running, 0);
    subject.resume();
    assert.deepEqual(sent, [['a', 'b', 'c'], ['d', 'e']]);
    subject.add('f');
    subject.suspend();
    for (const key of ['g', 'h', 'i', 'j']) {
        subject.add(key);
    }
    assert.equal(clock.running, 0);
    assert.equal(sent.length, 2);
    subject.resume();
    assert.deepEqual(sent.slice(2), [['f', 'g', 'h'], ['i', 'j']]);
});
