// The calls are those of the recipe's page.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { WsConnect } from '../src/ws-connect.js';
import { FakeSocket, fakeWorld, settled } from './support/fakes.js';

let world;

beforeEach(() => {
    world = fakeWorld();
});

function page(options = {}) {
    const subject = {
        news: {},
        received: [],
        opened: 0,
        closed: [],
        errors: 0,
        acknowledges: true,
    };
    const ws = new WsConnect('http://host/chat/chat_websocket/',
        { ...world.options, ...options });
    ws.onopen = () => subject.opened++;
    ws.onclose = (event) => subject.closed.push(event);
    ws.onerror = () => subject.errors++;
    ws.onmessage = (res) => {
        subject.received.push(res);
        if (res.code === 231) {
            ws.sendMessage('7', 230, '初始化当前用户');
        } else if (res.code === 236) {
            const keys = [];
            for (const key in res.data) {
                keys.push(key);
                subject.news[key] = res.data[key];
            }
            if (subject.acknowledges) {
                ws.sendMessage(keys, 237, '删除缓存[前端发起指令]');
            }
        }
    };
    subject.ws = ws;
    ws.createWS();
    return subject;
}

function ready(options) {
    const subject = page(options);
    FakeSocket.last.open();
    FakeSocket.last.frame(231, null, '申请初始化当前用户');
    return subject;
}

const message = (id) => ({
    send_id: `21_${id}`, send_timestamp: id, chat_id: '21', new_type: 1,
    content: `m${id}`, resource_url: '',
});

test('the course of the recipe', () => {
    const subject = ready();
    assert.equal(FakeSocket.last.url, 'ws://host/chat/chat_websocket/');
    assert.equal(subject.opened, 1);
    assert.deepEqual(FakeSocket.last.frames,
        [{ code: 230, msg: '初始化当前用户', data: '7' }]);

    subject.ws.sendMessage(message(1), 234, '发送消息');
    assert.deepEqual(FakeSocket.last.frames[1],
        { code: 234, msg: '发送消息', data: message(1) });
    const stored = { send_id: '21_1', msg: '成功' };
    FakeSocket.last.frame(235, stored, '信息发送成功');
    FakeSocket.last.frame(236, { '5-a': message(1) }, '接收到新消息');
    FakeSocket.last.text('pong');
    world.clock.advance(50);
    assert.deepEqual(subject.received, [
        { code: 231, msg: '申请初始化当前用户', data: null },
        { code: 235, msg: '信息发送成功', data: stored },
        { code: 236, msg: '接收到新消息', data: { '5-a': message(1) } },
    ]);
    assert.deepEqual(FakeSocket.last.framesOf(237)[0].data, ['5-a']);
});

test('messages wait for the connection and are repeated', () => {
    const subject = page();
    subject.ws.sendMessage(message(1), 234, '发送消息');
    subject.ws.sendMessage(message(2), 234, '发送消息');
    FakeSocket.last.open();
    FakeSocket.last.frame(231, null);
    assert.equal(FakeSocket.last.framesOf(234).length, 2);
    FakeSocket.last.frame(235, { send_id: '21_1' });
    FakeSocket.last.drop();
    assert.equal(subject.errors, 1);
    assert.deepEqual(subject.closed, [], 'not for a lost connection');
    world.clock.advance(500);
    FakeSocket.last.open();
    FakeSocket.last.frame(231, null);
    assert.equal(subject.opened, 2);
    assert.deepEqual(FakeSocket.last.framesOf(234).map(({ data }) => data),
        [message(2)]);
});

test('keys that the page acknowledged are not shown again', () => {
    const subject = ready();
    FakeSocket.last.frame(236, { '5-a': 1 });
    FakeSocket.last.drop();
    world.clock.advance(500);
    FakeSocket.last.open();
    FakeSocket.last.frame(240, { user: '7' });
    FakeSocket.last.frame(236, { '5-a': 1 });
    FakeSocket.last.frame(236, { '5-a': 1, '6-b': 2 });
    const news = subject.received.filter(({ code }) => code === 236);
    assert.deepEqual(news.map(({ data }) => data), [{ '5-a': 1 }, { '6-b': 2 }]);
    world.clock.advance(50);
    const keys = FakeSocket.last.framesOf(237).flatMap(({ data }) => data);
    assert.deepEqual(keys, ['5-a', '5-a', '6-b']);
});

test('keys that the page did not acknowledge come again', () => {
    const subject = ready();
    subject.acknowledges = false;
    FakeSocket.last.frame(236, { '5-a': 1 });
    FakeSocket.last.drop();
    world.clock.advance(500);
    FakeSocket.last.open();
    FakeSocket.last.frame(236, { '5-a': 1 });
    assert.equal(subject.received.filter(({ code }) => code === 236).length, 2);
});

test('what cannot be taken is a 300 in the page\'s own terms', async () => {
    const subject = ready({ outboxLimit: 1 });
    subject.ws.sendMessage(message(1), 234);
    subject.ws.sendMessage(message(2), 234);
    await settled();
    assert.deepEqual(subject.received.at(-1), {
        code: 300,
        msg: '信息发送出现异常',
        data: { send_id: '21_2', msg: 'too many messages wait for an answer' },
    });
    FakeSocket.last.frame(300, { send_id: '21_1', msg: 'no' });
    await settled();
    assert.equal(subject.received.filter(({ code }) => code === 300).length, 2,
        'the answer of the server reaches the page once');
});

test('closeConnect ends everything and calls onclose, once', async () => {
    const subject = ready();
    subject.ws.sendMessage(message(1), 234);
    subject.ws.closeConnect();
    subject.ws.closeConnect();
    subject.ws.sendMessage(message(2), 234);
    await settled();
    assert.equal(subject.closed.length, 1);
    assert.equal(subject.closed[0].code, 1000);
    assert.equal(subject.ws.ws, null);
    assert.equal(world.clock.running, 0);
    assert.equal(world.page.listeners, 0);
    assert.equal(FakeSocket.alive, 0);
    assert.equal(subject.received.filter(({ code }) => code === 300).length, 0);
});

test('createWS twice makes one connection, after closeConnect a new one', () => {
    const subject = ready();
    subject.ws.createWS();
    assert.equal(FakeSocket.made.length, 1);
    assert.equal(subject.ws.ws, FakeSocket.last);
    subject.ws.closeConnect();
    subject.ws.createWS();
    assert.equal(FakeSocket.made.length, 2);
    assert.equal(FakeSocket.alive, 1);
});

test('reconnect gives up the connection for a new one', () => {
    const subject = ready();
    subject.ws.reconnect();
    assert.equal(FakeSocket.made.length, 2);
    assert.equal(FakeSocket.alive, 1);
});

test('the times of the recipe are properties', () => {
    const subject = page();
    subject.ws.closeConnect();
    subject.ws.heart_check_time = 1_000;
    subject.ws.reconnect_time = 3_000;
    subject.ws.createWS();
    FakeSocket.last.open();
    world.clock.advance(1_000);
    assert.equal(FakeSocket.last.pings, 1);
    world.clock.advance(3_000);
    assert.equal(FakeSocket.last.gone, true);
});

test('other codes leave as they are, while there is a connection', () => {
    const subject = page();
    subject.ws.sendMessage({ early: 1 }, 299);
    FakeSocket.last.open();
    subject.ws.sendMessage({ x: 1 });
    subject.ws.sendMessage({ no: 'send_id' }, 234);
    assert.deepEqual(FakeSocket.last.frames, [
        { code: 200, msg: '', data: { x: 1 } },
        { code: 234, msg: '', data: { no: 'send_id' } },
    ]);
});
