import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Connection } from '../src/connection.js';
import { withDefaults } from '../src/defaults.js';
import { FakeSocket, fakeWorld, settled } from './support/fakes.js';

let world;
let log;

beforeEach(() => {
    world = fakeWorld();
    log = [];
});

function connection(options = {}, hooks = {}, url = 'ws://host/chat') {
    const note = (name) => (value) => log.push([name, value]);
    return new Connection(url, withDefaults({ ...world.options, ...options }), {
        state: (state) => log.push(['state', state]),
        up: note('up'),
        text: note('text'),
        down: note('down'),
        retry: note('retry'),
        error: note('error'),
        hide: note('hide'),
        ...hooks,
    });
}

function opened(options, hooks) {
    const result = connection(options, hooks);
    result.start();
    FakeSocket.last.open();
    return result;
}

const states = () => log.filter(([name]) => name === 'state')
    .map(([, value]) => value);
const retries = () => log.filter(([name]) => name === 'retry')
    .map(([, value]) => value);

test('the course of a connection', () => {
    const subject = connection();
    assert.equal(subject.state, 'closed');
    subject.start();
    assert.equal(FakeSocket.last.url, 'ws://host/chat');
    assert.equal(subject.send('early'), false);
    FakeSocket.last.open();
    assert.equal(subject.send('now'), true);
    FakeSocket.last.text('hello');
    subject.stop();
    assert.equal(subject.send('late'), false);
    assert.deepEqual(states(), ['connecting', 'open', 'closed']);
    assert.deepEqual(FakeSocket.last.sent, ['now']);
    assert.equal(FakeSocket.last.closeCode, 1000);
    assert.deepEqual(log.filter(([name]) => name === 'text'),
        [['text', 'hello']]);
});

test('stop leaves no timer, no listener and no socket, in every state', () => {
    const prepare = {
        connecting: () => {},
        open: () => FakeSocket.last.open(),
        beating: () => {
            FakeSocket.last.open();
            world.clock.advance(5000);
        },
        waiting: () => FakeSocket.last.drop(),
        again: () => {
            FakeSocket.last.drop();
            world.clock.advance(500);
        },
    };
    for (const [state, act] of Object.entries(prepare)) {
        world = fakeWorld();
        const subject = connection();
        subject.start();
        act();
        assert.ok(world.clock.running > 0, state);
        assert.equal(world.page.listeners, 4, state);
        subject.stop();
        assert.equal(world.clock.running, 0, state);
        assert.equal(world.page.listeners, 0, state);
        assert.equal(FakeSocket.alive, 0, state);
    }
});

test('ping every 5 s; an answer keeps the connection', () => {
    const subject = opened();
    for (let i = 1; i <= 20; i++) {
        world.clock.advance(5000);
        assert.equal(FakeSocket.last.pings, i);
        FakeSocket.last.text('pong');
    }
    assert.equal(subject.state, 'open');
    assert.deepEqual(log.filter(([name]) => name === 'text'), []);
});

test('anything received is an answer', () => {
    const subject = opened();
    for (let i = 0; i < 20; i++) {
        world.clock.advance(5000);
        FakeSocket.last.text('{"code":236}');
    }
    assert.equal(subject.state, 'open');
    assert.equal(FakeSocket.made.length, 1);
});

test('no answer for 20 s drops the connection, even if never closed', () => {
    const subject = opened();
    const dead = FakeSocket.last;
    world.clock.advance(24_999);
    assert.equal(subject.state, 'open');
    world.clock.advance(1);
    assert.equal(subject.state, 'waiting');
    assert.equal(dead.gone, true);
    world.clock.advance(500);
    assert.equal(FakeSocket.made.length, 2);
});

test('the first heartbeat without answer sets the deadline', () => {
    const subject = opened();
    world.clock.advance(5000);
    world.clock.advance(15_000); // three more pings
    assert.equal(FakeSocket.last.pings, 4);
    world.clock.advance(5000);
    assert.equal(subject.state, 'waiting');
});

test('a handshake without answer is given up after 10 s', () => {
    const subject = connection();
    subject.start();
    const first = FakeSocket.last;
    world.clock.advance(9_999);
    assert.equal(subject.state, 'connecting');
    world.clock.advance(1);
    assert.equal(subject.state, 'waiting');
    assert.equal(first.gone, true);
    assert.equal(retries()[0].reason, 'no answer to the handshake');
});

test('failed handshakes back off, a stable connection resets', () => {
    const subject = connection();
    subject.start();
    for (let i = 0; i < 10; i++) {
        FakeSocket.last.drop();
        world.clock.advance(retries().at(-1).delay);
    }
    assert.deepEqual(retries().map(({ delay }) => delay),
        [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000]);
    assert.deepEqual(retries().map(({ attempt }) => attempt),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);

    FakeSocket.last.open();
    world.clock.advance(4_999);
    FakeSocket.last.drop();
    assert.equal(retries().at(-1).delay, 30_000, 'not stable yet');
    world.clock.advance(30_000);
    FakeSocket.last.open();
    world.clock.advance(5_000);
    FakeSocket.last.drop();
    assert.equal(retries().at(-1).delay, 500);
    assert.equal(subject.state, 'waiting');
});

test('close codes: 1012 is spread, 1013 waits a second at least', () => {
    opened();
    FakeSocket.last.drop(1012, 'reload');
    assert.deepEqual(retries().at(-1),
        { attempt: 1, delay: 2000, code: 1012, reason: 'reload' });
    for (const [code, delay] of [[1013, 1500], [1001, 500], [1000, 500],
        [1008, 500]]) {
        world = fakeWorld();
        opened();
        FakeSocket.last.drop(code);
        assert.equal(retries().at(-1).delay, delay, `after ${code}`);
    }
});

test('online and a visible page try at once', () => {
    const subject = connection();
    subject.start();
    for (let i = 0; i < 8; i++) {
        FakeSocket.last.drop();
        world.clock.advance(30_000);
    }
    FakeSocket.last.drop();
    assert.equal(subject.state, 'waiting');
    world.page.dispatchEvent(new Event('online'));
    assert.equal(subject.state, 'connecting');
    FakeSocket.last.drop();
    world.page.document.visibilityState = 'hidden';
    world.page.document.dispatchEvent(new Event('visibilitychange'));
    assert.equal(subject.state, 'waiting');
    world.page.document.visibilityState = 'visible';
    world.page.document.dispatchEvent(new Event('visibilitychange'));
    assert.equal(subject.state, 'connecting');
    assert.equal(FakeSocket.alive, 1);
});

test('a page that is left has no connection until one returns', () => {
    const subject = opened();
    const left = FakeSocket.last;
    world.page.dispatchEvent(new Event('pagehide'));
    assert.equal(left.closeCode, 1000);
    assert.equal(subject.state, 'waiting');
    assert.deepEqual(log.map(([name]) => name).slice(-3),
        ['hide', 'state', 'down']);
    world.clock.advance(3_600_000);
    assert.equal(FakeSocket.made.length, 1);

    const first = new Event('pageshow'); // not from the browser's memory
    world.page.dispatchEvent(first);
    assert.equal(subject.state, 'waiting');
    const shown = Object.assign(new Event('pageshow'), { persisted: true });
    world.page.dispatchEvent(shown);
    assert.equal(subject.state, 'connecting');
    world.page.document.dispatchEvent(new Event('visibilitychange'));
    assert.equal(FakeSocket.alive, 1);
});

test('online during an open connection asks whether it still works', () => {
    const subject = opened();
    world.page.dispatchEvent(new Event('online'));
    assert.equal(FakeSocket.last.pings, 1);
    FakeSocket.last.text('pong');
    world.clock.advance(4_999);
    assert.equal(subject.state, 'open');
    world.page.dispatchEvent(new Event('online'));
    world.clock.advance(5_000);
    assert.equal(subject.state, 'waiting');
});

test('events of a socket that was given up are ignored', () => {
    const subject = opened();
    const stale = FakeSocket.last;
    const { onopen, onmessage, onerror, onclose } = stale;
    world.clock.advance(25_000);
    world.clock.advance(500);
    FakeSocket.last.open();
    log = [];
    onopen({ type: 'open' });
    onmessage({ data: 'late' });
    onerror({ type: 'error' });
    onclose({ code: 1006 });
    assert.deepEqual(log, []);
    assert.equal(subject.state, 'open');
    assert.equal(FakeSocket.alive, 1);
});

test('there is never a second socket, whatever happens when', () => {
    // A fixed pseudo-random walk over everything that can happen.
    let seed = 42;
    const roll = (sides) => {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        return Math.floor(seed / 65536) % sides;
    };
    const subject = connection();
    const events = [
        () => subject.start(),
        () => subject.restart(),
        () => FakeSocket.last?.open(),
        () => FakeSocket.last?.drop(),
        () => FakeSocket.last?.text('pong'),
        () => FakeSocket.made[roll(FakeSocket.made.length || 1)]?.open(),
        () => FakeSocket.made[roll(FakeSocket.made.length || 1)]?.drop(),
        () => world.page.dispatchEvent(new Event('online')),
        () => world.page.dispatchEvent(new Event('pagehide')),
        () => world.clock.advance(roll(30_000)),
        () => (roll(5) === 0 ? subject.stop() : undefined),
    ];
    for (let i = 0; i < 20_000; i++) {
        events[roll(events.length)]();
        assert.ok(FakeSocket.alive <= 1, `step ${i}`);
        const wanted = subject.state === 'open' || subject.state === 'connecting';
        assert.equal(FakeSocket.alive, wanted ? 1 : 0, `step ${i}`);
        assert.ok(world.clock.running <= 4, `step ${i}`);
    }
    subject.stop();
    assert.equal(world.clock.running, 0);
    assert.ok(FakeSocket.made.length > 1000);
});

test('hooks may stop and restart', () => {
    for (const name of ['state', 'up', 'text', 'down', 'retry']) {
        for (const action of ['stop', 'restart']) {
            world = fakeWorld();
            let armed = false;
            let subject = null;
            const hook = () => {
                if (armed) {
                    armed = false;
                    subject[action]();
                }
            };
            const expectOne = () => {
                assert.equal(armed, false, name);
                const wanted = action === 'stop' ? 0 : 1;
                assert.ok(FakeSocket.alive <= wanted, name);
                assert.equal(subject.state === 'closed', wanted === 0, name);
                subject.stop();
                assert.equal(world.clock.running, 0, name);
                assert.equal(world.page.listeners, 0, name);
            };
            subject = connection({}, { [name]: hook });
            subject.start();
            armed = true;
            FakeSocket.last.open();
            FakeSocket.last.text('x');
            FakeSocket.last.drop();
            expectOne();

            if (name === 'state' || name === 'down') {
                subject.start();
                FakeSocket.last.open();
                armed = true;
                subject.restart();
                expectOne();
            }
            if (name === 'state') {
                armed = true;
                subject.start();
                expectOne();
            }
        }
    }
});

test('the heartbeat follows the time-out of the server', () => {
    const subject = opened();
    subject.adaptHeartbeat(60_000);
    world.clock.advance(14_999);
    assert.equal(FakeSocket.last.pings, 0);
    world.clock.advance(1);
    assert.equal(FakeSocket.last.pings, 1);

    subject.adaptHeartbeat(8_000);
    world.clock.advance(2_000);
    assert.equal(FakeSocket.last.pings, 2);

    subject.adaptHeartbeat(1); // never faster than once a second
    FakeSocket.last.text('pong');
    world.clock.advance(1_000);
    assert.equal(FakeSocket.last.pings, 3);

    for (const nonsense of [undefined, null, NaN, 0, -1, 'soon']) {
        subject.adaptHeartbeat(nonsense);
    }
    world.clock.advance(1_000);
    assert.equal(FakeSocket.last.pings, 4);
});

test('a heartbeat that the application chose is only made shorter', () => {
    const subject = opened({ heartbeatInterval: 4_000 });
    subject.adaptHeartbeat(60_000);
    world.clock.advance(4_000);
    assert.equal(FakeSocket.last.pings, 1);
    subject.adaptHeartbeat(8_000);
    world.clock.advance(2_000);
    assert.equal(FakeSocket.last.pings, 2);
});

test('an address may be made anew for each attempt', async () => {
    let count = 0;
    const subject = connection({}, {}, () => `ws://host/?token=${++count}`);
    subject.start();
    assert.equal(FakeSocket.last.url, 'ws://host/?token=1');
    FakeSocket.last.drop();
    world.clock.advance(500);
    assert.equal(FakeSocket.last.url, 'ws://host/?token=2');
    subject.stop();

    const later = connection({}, {}, async () => 'ws://host/?later');
    later.start();
    await settled();
    assert.equal(FakeSocket.last.url, 'ws://host/?later');
});

test('an address that comes too late opens nothing', async () => {
    let give = null;
    const subject = connection({}, {}, () => new Promise((resolve) => {
        give = resolve;
    }));
    subject.start();
    subject.stop();
    give('ws://host/');
    await settled();
    assert.equal(FakeSocket.made.length, 0);
});

test('an address that cannot be had is an error and is tried again', async () => {
    const subject = connection({}, {}, async () => {
        throw new Error('no token');
    });
    subject.start();
    await settled();
    assert.equal(subject.state, 'waiting');
    assert.equal(log.find(([name]) => name === 'error')[1].message, 'no token');
    world.clock.advance(500);
    assert.equal(subject.state, 'connecting');
});

test('a wrong address is refused where it is given', () => {
    assert.throws(() => connection({}, {}, 'mailto:ada'), SyntaxError);
});

test('settings are checked', () => {
    assert.throws(() => withDefaults({ ...world.options, window: -1 }),
        RangeError);
    assert.throws(() => withDefaults({ ...world.options, window: 'x' }),
        RangeError);
    assert.throws(() => withDefaults({ webSocket: 'none' }), TypeError);
});
