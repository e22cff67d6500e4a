import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Outbox } from '../src/outbox.js';
import { SendError } from '../src/send-error.js';
import { Timers } from '../src/timers.js';
import { FakeClock } from './support/fakes.js';

let clock;
let sent;

beforeEach(() => {
    clock = new FakeClock();
    sent = [];
});

function outbox(options = {}) {
    return new Outbox({
        limit: 8,
        byteLimit: 1000,
        window: 3,
        answerTimeout: 10_000,
        timers: new Timers(clock),
        transmit: (text) => sent.push(text),
        ...options,
    });
}

function add(subject, ...ids) {
    return ids.map((id) => {
        const promise = subject.add(id, `m${id}`, 10);
        promise.catch(() => {});
        return promise;
    });
}

const rejected = (promise, code) => assert.rejects(promise, (error) => {
    assert.ok(error instanceof SendError);
    assert.equal(error.code, code);
    return true;
});

test('nothing leaves before the session is ready', () => {
    const subject = outbox();
    add(subject, 1, 2);
    assert.deepEqual(sent, []);
    assert.equal(clock.running, 0);
    subject.resume();
    assert.deepEqual(sent, ['m1', 'm2']);
});

test('235 resolves with its data, 300 rejects with the reason', async () => {
    const subject = outbox();
    subject.resume();
    const [one, two] = add(subject, 1, 2);
    assert.equal(subject.settle(1, { send_id: 1, msg: '成功' }), true);
    assert.deepEqual(await one, { send_id: 1, msg: '成功' });
    subject.settle(2, {}, new SendError('refused', 'no such chat', 2));
    await rejected(two, 'refused');
    assert.equal(subject.size, 0);
    assert.equal(clock.running, 0);
});

test('an answer to what is not waited for changes nothing', () => {
    const subject = outbox();
    subject.resume();
    add(subject, 1);
    for (const id of [2, '1', null, undefined]) {
        assert.equal(subject.settle(id, {}), false);
    }
    assert.equal(subject.size, 1);
});

test('a window bounds what is under way', () => {
    const subject = outbox();
    subject.resume();
    add(subject, 1, 2, 3, 4, 5);
    assert.deepEqual(sent, ['m1', 'm2', 'm3']);
    subject.settle(2, {});
    assert.deepEqual(sent, ['m1', 'm2', 'm3', 'm4']);
});

test('after a lost session all that was under way is repeated, in order', () => {
    const subject = outbox();
    subject.resume();
    add(subject, 1, 2, 3, 4);
    subject.settle(2, {});
    subject.suspend();
    add(subject, 5);
    assert.equal(clock.running, 0);
    sent = [];
    subject.resume();
    assert.deepEqual(sent, ['m1', 'm3', 'm4']);
    subject.settle(1, {});
    assert.deepEqual(sent, ['m1', 'm3', 'm4', 'm5']);
});

test('silence repeats, each time after twice as long, a minute at most', () => {
    const subject = outbox();
    subject.resume();
    add(subject, 1, 2);
    sent = [];
    clock.advance(9_999);
    assert.deepEqual(sent, []);
    clock.advance(1);
    assert.deepEqual(sent, ['m1', 'm2']);
    const pauses = [20_000, 40_000, 60_000, 60_000];
    for (const pause of pauses) {
        sent = [];
        clock.advance(pause - 1);
        assert.deepEqual(sent, []);
        clock.advance(1);
        assert.deepEqual(sent, ['m1', 'm2']);
    }
    subject.settle(1, {});
    sent = [];
    clock.advance(10_000);
    assert.deepEqual(sent, ['m2'], 'an answer restores the patience');
});

test('answers to others keep a slow one from being repeated', () => {
    const subject = outbox();
    subject.resume();
    add(subject, 1, 2, 3);
    clock.advance(9_000);
    subject.settle(2, {});
    clock.advance(9_000);
    assert.deepEqual(sent, ['m1', 'm2', 'm3']);
});

test('the limits reject, and what was let in stays', async () => {
    const subject = outbox();
    add(subject, 1, 2, 3, 4, 5, 6, 7, 8);
    await rejected(add(subject, 9)[0], 'full');
    assert.equal(subject.size, 8);
    const small = outbox({ byteLimit: 25 });
    add(small, 1, 2);
    await rejected(add(small, 3)[0], 'full');
    small.resume();
    small.settle(1, {});
    add(small, 4);
    assert.equal(small.size, 2);
});

test('the same send_id twice is refused; 1 and "1" are two', async () => {
    const subject = outbox();
    add(subject, 1, '1');
    await rejected(add(subject, 1)[0], 'duplicate');
    assert.equal(subject.size, 2);
});

test('rejectLongest takes the longest under way, once each time', async () => {
    const subject = outbox({ window: 2 });
    subject.resume();
    const short = subject.add(1, 'short', 10);
    const long = subject.add(2, 'long', 30);
    const unsent = subject.add(3, 'unsent', 90);
    unsent.catch(() => {});
    short.catch(() => {});
    subject.suspend();
    subject.rejectLongest();
    await rejected(long, 'too_large');
    sent = [];
    subject.resume();
    assert.deepEqual(sent, ['short', 'unsent']);
});

test('rejectAll settles everything and leaves no timer', async () => {
    const subject = outbox();
    subject.resume();
    const all = add(subject, 1, 2, 3, 4);
    subject.rejectAll('the client was closed');
    for (const promise of all) {
        await rejected(promise, 'closed');
    }
    assert.equal(subject.size, 0);
    assert.equal(clock.running, 0);
});
