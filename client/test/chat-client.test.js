import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { ChatClient, SendError } from '../src/index.js';
import { FakeSocket, fakeWorld, settled } from './support/fakes.js';

let world;
let shown;
let events;

beforeEach(() => {
    world = fakeWorld();
    shown = [];
    events = [];
});

function client(options = {}) {
    const subject = new ChatClient('ws://host/chat', {
        ...world.options,
        user: 7,
        onMessage: (news, key) => {
            shown.push([key, news.content]);
        },
        ...options,
    });
    for (const name of ['state', 'retry', 'identified', 'identify', 'fault',
        'error', 'frame', 'down']) {
        subject.on(name, (value) => events.push([name, value]));
    }
    return subject;
}

function ready(options) {
    const subject = client(options).connect();
    FakeSocket.last.open();
    FakeSocket.last.frame(240,
        { user: 7, server_time: world.clock.now(), heartbeat_timeout: 20_000 });
    return subject;
}

const of = (name) => events.filter(([event]) => event === name)
    .map(([, value]) => value);

test('231 is answered with 230, then messages leave', () => {
    const subject = client().connect();
    subject.send({ chat_id: 21, content: 'hello' });
    FakeSocket.last.open();
    assert.equal(subject.state, 'open');
    assert.deepEqual(FakeSocket.last.frames, []);
    FakeSocket.last.frame(231, null, '申请初始化当前用户');
    assert.equal(subject.state, 'ready');
    const [hello, message] = FakeSocket.last.frames;
    assert.deepEqual(hello, { code: 230, msg: '', data: 7 });
    assert.equal(message.code, 234);
    assert.deepEqual({ ...message.data, send_id: '' }, {
        send_id: '',
        send_timestamp: world.clock.now(),
        new_type: 1,
        content: 'hello',
        resource_url: '',
        chat_id: 21,
    });
    FakeSocket.last.frame(231, null);
    assert.equal(FakeSocket.last.framesOf(230).length, 2, 'as often as asked');
    assert.equal(FakeSocket.last.framesOf(234).length, 1);
});

test('an identity that nginx gives needs no 230', () => {
    const subject = ready({ user: undefined });
    assert.equal(subject.state, 'ready');
    assert.equal(subject.user, 7);
    assert.deepEqual(FakeSocket.last.frames, []);
    assert.deepEqual(of('identified'), [{
        user: 7, serverTime: world.clock.now(), heartbeatTimeout: 20_000,
    }]);
});

test('without a user the application is asked', () => {
    for (const user of [undefined, null, 0, '', false]) {
        world = fakeWorld();
        events = [];
        const subject = client({ user }).connect();
        FakeSocket.last.open();
        FakeSocket.last.frame(231, null);
        assert.equal(subject.state, 'open');
        assert.equal(of('identify').length, 1);
        assert.deepEqual(FakeSocket.last.frames, []);
        subject.identify('ada');
        assert.equal(subject.state, 'ready');
        assert.equal(FakeSocket.last.framesOf(230)[0].data, 'ada');
        subject.close();
    }
});

test('send settles with 235 or 300', async () => {
    const subject = ready();
    const good = subject.send({ chat_id: 21, content: 'a', send_id: 1 });
    const bad = subject.send({ chat_id: 99, content: 'b', send_id: '1' });
    FakeSocket.last.frame(300, { send_id: '1', msg: 'chat 99 does not exist' });
    FakeSocket.last.frame(235, { send_id: 1, msg: '成功' });
    assert.deepEqual(await good, { send_id: 1, msg: '成功' });
    await assert.rejects(bad, (error) => {
        assert.ok(error instanceof SendError);
        assert.deepEqual([error.code, error.sendId, error.message],
            ['refused', '1', 'chat 99 does not exist']);
        return true;
    });
    assert.deepEqual(of('fault'), []);
    assert.equal(subject.pending, 0);
});

test('what cannot be sent is rejected, nothing leaves', async () => {
    const subject = ready({ maxMessage: 300, outboxLimit: 1 });
    const circle = { chat_id: 1 };
    circle.self = circle;
    const cases = [
        [undefined, 'invalid'],
        [{ content: 'no chat' }, 'invalid'],
        [circle, 'invalid'],
        [{ chat_id: 1, content: '文'.repeat(100) }, 'too_large'],
    ];
    for (const [message, code] of cases) {
        await assert.rejects(subject.send(message), { code });
    }
    assert.deepEqual(FakeSocket.last.frames, []);
    const first = subject.send({ chat_id: 1 });
    first.catch(() => {});
    await assert.rejects(subject.send({ chat_id: 1 }), { code: 'full' });
});

test('every send_id is its own', () => {
    const subject = client();
    const ids = new Set();
    for (let i = 0; i < 1000; i++) {
        ids.add(subject.createSendId(21));
    }
    assert.equal(ids.size, 1000);
    const twin = client({ random: () => 0.3 });
    assert.equal(ids.has(twin.createSendId(21)), false);
    assert.match([...ids][0], /^21_1700000000000_/);
});

test('a lost connection: the same send_ids again, in order, until 235',
    async () => {
        const subject = ready();
        const sends = ['a', 'b', 'c'].map(
            (content) => subject.send({ chat_id: 21, content }));
        const before = FakeSocket.last.framesOf(234);
        FakeSocket.last.frame(235, { send_id: before[1].data.send_id });
        FakeSocket.last.drop();
        assert.equal(subject.state, 'waiting');
        sends.push(subject.send({ chat_id: 21, content: 'd' }));
        world.clock.advance(500);
        FakeSocket.last.open();
        FakeSocket.last.frame(231, null);
        const after = FakeSocket.last.framesOf(234);
        assert.deepEqual(after.map(({ data }) => data.content), ['a', 'c', 'd']);
        assert.deepEqual(after[0], before[0]);
        for (const { data } of after) {
            FakeSocket.last.frame(235, { send_id: data.send_id });
        }
        assert.equal((await Promise.all(sends)).length, 4);
    });

test('no answer: repeated on the same connection', () => {
    const subject = ready();
    subject.send({ chat_id: 21, content: 'a' });
    for (let i = 0; i < 3; i++) {
        world.clock.advance(4_000);
        FakeSocket.last.text('pong');
    }
    const sent = FakeSocket.last.framesOf(234);
    assert.equal(sent.length, 2);
    assert.deepEqual(sent[0], sent[1]);
    assert.equal(FakeSocket.made.length, 1);
});

test('news: once, in order, acknowledged together, over reconnections', () => {
    const subject = ready();
    FakeSocket.last.frame(236, {
        '5-a': { content: 'one' }, '6-b': { content: 'two' },
    }, '接收到新消息');
    world.clock.advance(49);
    assert.deepEqual(FakeSocket.last.framesOf(237), []);
    world.clock.advance(1);
    assert.deepEqual(FakeSocket.last.framesOf(237),
        [{ code: 237, msg: '', data: ['5-a', '6-b'] }]);
    FakeSocket.last.frame(236, { '7-c': { content: 'three' } });
    FakeSocket.last.drop(); // before 7-c was acknowledged
    world.clock.advance(500);
    FakeSocket.last.open();
    FakeSocket.last.frame(240, { user: 7 });
    assert.deepEqual(FakeSocket.last.framesOf(237)[0].data, ['7-c']);
    FakeSocket.last.frame(236, {
        '7-c': { content: 'three' }, '8-d': { content: 'four' },
    });
    world.clock.advance(50);
    assert.deepEqual(shown, [
        ['5-a', 'one'], ['6-b', 'two'], ['7-c', 'three'], ['8-d', 'four'],
    ]);
    assert.deepEqual(FakeSocket.last.framesOf(237)[1].data, ['7-c', '8-d']);
    assert.equal(subject.state, 'ready');
});

test('an asynchronous callback is acknowledged when it is done', async () => {
    let finish = null;
    ready({
        onMessage: () => new Promise((resolve) => {
            finish = resolve;
        }),
    });
    FakeSocket.last.frame(236, { '5-a': {} });
    world.clock.advance(1_000);
    assert.deepEqual(FakeSocket.last.framesOf(237), []);
    finish();
    await settled();
    world.clock.advance(50);
    assert.deepEqual(FakeSocket.last.framesOf(237)[0].data, ['5-a']);
});

test('over the backlog the client reconnects for the rest', async () => {
    const open = [];
    ready({
        backlog: 1,
        onMessage: (news, key) => new Promise((resolve) => {
            shown.push(key);
            open.push(resolve);
        }),
    });
    FakeSocket.last.frame(236, { '5-a': {}, '6-b': {} });
    const first = FakeSocket.last;
    open[0]();
    await settled();
    assert.equal(first.gone, true);
    assert.deepEqual(first.framesOf(237)[0].data, ['5-a']);
    assert.equal(FakeSocket.alive, 1);
    FakeSocket.last.open();
    FakeSocket.last.frame(240, { user: 7 });
    FakeSocket.last.frame(236, { '6-b': {} });
    assert.deepEqual(shown, ['5-a', '6-b']);
});

test('a callback that throws is an error event and stays in the inbox', () => {
    ready({
        onMessage: () => {
            throw new Error('broken');
        },
    });
    FakeSocket.last.frame(236, { '5-a': {} });
    world.clock.advance(1_000);
    assert.deepEqual(FakeSocket.last.framesOf(237), []);
    assert.equal(of('error')[0].key, '5-a');
    assert.equal(of('error')[0].error.message, 'broken');
});

test('states and attempts are told', () => {
    const subject = ready();
    FakeSocket.last.drop(1012, 'reload');
    world.clock.advance(2_000);
    subject.close();
    assert.deepEqual(of('state').map(({ previous, state }) =>
        `${previous} ${state}`), [
        'closed connecting', 'connecting open', 'open ready', 'ready waiting',
        'waiting connecting', 'connecting closed',
    ]);
    assert.deepEqual(of('retry'),
        [{ attempt: 1, delay: 2000, code: 1012, reason: 'reload' }]);
    assert.equal(of('down')[0].code, 1012);
});

test('faults, unknown codes and nonsense are events, never the end', () => {
    const subject = ready();
    FakeSocket.last.frame(300, { send_id: null, msg: 'unknown code 9' });
    FakeSocket.last.frame(250, { x: 1 });
    FakeSocket.last.text('{nonsense');
    FakeSocket.last.text('[]');
    FakeSocket.last.frame(236, null);
    FakeSocket.last.frame(240, null);
    FakeSocket.last.text('{"code":300}');
    assert.deepEqual(of('fault')[0], { message: 'unknown code 9' });
    assert.equal(of('frame')[0].code, 250);
    assert.equal(of('error').length, 2);
    assert.equal(subject.state, 'ready');
});

test('240: the clock of the server and its time-out', () => {
    const subject = client().connect();
    FakeSocket.last.open();
    FakeSocket.last.frame(240, {
        user: 7, server_time: world.clock.now() + 5_000, heartbeat_timeout: 8_000,
    });
    assert.equal(subject.serverNow(), world.clock.now() + 5_000);
    world.clock.advance(2_000);
    assert.equal(FakeSocket.last.pings, 1);
});

test('close ends timers and listeners, rejects, acknowledges', async () => {
    const subject = ready();
    const sent = subject.send({ chat_id: 21, content: 'a' });
    FakeSocket.last.frame(236, { '5-a': {} });
    subject.close();
    await assert.rejects(sent, { code: 'closed' });
    assert.deepEqual(FakeSocket.last.framesOf(237)[0].data, ['5-a']);
    assert.equal(FakeSocket.last.closeCode, 1000);
    assert.equal(world.clock.running, 0);
    assert.equal(world.page.listeners, 0);
    assert.equal(subject.state, 'closed');
    subject.close();
    subject.reconnect();
    assert.equal(FakeSocket.made.length, 1);
});

test('close delivers nothing more, not even what has arrived', async () => {
    const open = [];
    const subject = ready({
        onMessage: (news, key) => new Promise((resolve) => {
            shown.push(key);
            open.push(resolve);
        }),
    });
    FakeSocket.last.frame(236, { '5-a': {}, '6-b': {} });
    subject.close();
    open[0]();
    await settled();
    assert.deepEqual(shown, ['5-a']);
    subject.connect();
    FakeSocket.last.open();
    FakeSocket.last.frame(240, { user: 7 });
    assert.deepEqual(FakeSocket.last.framesOf(237)[0].data, ['5-a']);
    FakeSocket.last.frame(236, { '6-b': {} });
    assert.deepEqual(shown, ['5-a', '6-b']);
});

test('a closed client may connect again and still knows its keys', () => {
    const subject = ready();
    FakeSocket.last.frame(236, { '5-a': { content: 'one' } });
    subject.close();
    subject.connect();
    FakeSocket.last.open();
    FakeSocket.last.frame(240, { user: 7 });
    FakeSocket.last.frame(236, { '5-a': { content: 'one' } });
    assert.equal(shown.length, 1);
    assert.equal(FakeSocket.alive, 1);
});

test('a page that goes away acknowledges what it has shown', () => {
    ready();
    FakeSocket.last.frame(236, { '5-a': {} });
    world.page.dispatchEvent(new Event('pagehide'));
    assert.deepEqual(FakeSocket.last.framesOf(237)[0].data, ['5-a']);
});

test('1009 gives up the message that the server does not take', async () => {
    const subject = ready();
    const long = subject.send({ chat_id: 21, content: 'x'.repeat(1000) });
    const short = subject.send({ chat_id: 21, content: 'y' });
    short.catch(() => {});
    FakeSocket.last.drop(1009, 'message too big');
    await assert.rejects(long, { code: 'too_large' });
    world.clock.advance(500);
    FakeSocket.last.open();
    FakeSocket.last.frame(240, { user: 7 });
    assert.deepEqual(
        FakeSocket.last.framesOf(234).map(({ data }) => data.content), ['y']);
});

test('a listener that throws disturbs nobody', (context) => {
    const reported = [];
    context.mock.method(console, 'error', (error) => reported.push(error));
    const subject = client();
    subject.on('state', () => {
        throw new Error('listener');
    });
    subject.connect();
    FakeSocket.last.open();
    assert.equal(subject.state, 'open');
    assert.ok(reported.length === 2 || globalThis.reportError);
});

test('a listener can be taken away', () => {
    const subject = client();
    let calls = 0;
    const off = subject.on('state', () => calls++);
    subject.connect();
    off();
    FakeSocket.last.open();
    assert.equal(calls, 1);
    assert.throws(() => subject.on('state', null), TypeError);
});

test('what is wrong is said at once', () => {
    assert.throws(() => new ChatClient('ws://host/', world.options), TypeError);
    assert.throws(() => client({ remember: NaN }), RangeError);
});
