import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decode, encode, isIdentity, socketUrl } from '../src/protocol.js';

test('a frame has code, msg and data, in this order', () => {
    assert.equal(encode(230, 7, '初始化当前用户'),
        '{"code":230,"msg":"初始化当前用户","data":7}');
    assert.equal(encode(237, ['a']), '{"code":237,"msg":"","data":["a"]}');
});

test('what is no frame is null', () => {
    for (const text of ['', '{', 'null', '1', '"x"', '[]', '{}',
        '{"code":"230"}', '{"code":2.5}']) {
        assert.equal(decode(text), null, text);
    }
    assert.deepEqual(decode('{"code":1}'), { code: 1 });
});

test('falsy identities are none', () => {
    for (const user of [undefined, null, false, 0, '']) {
        assert.equal(isIdentity(user), false);
    }
    for (const user of [1, '0', 'ada', { user: 1 }]) {
        assert.equal(isIdentity(user), true);
    }
});

test('addresses', () => {
    const page = 'https://chat.example/room/21?x=1';
    const cases = [
        ['ws://a/b', 'ws://a/b'],
        ['wss://a/b?c=d', 'wss://a/b?c=d'],
        ['http://a:8080/http/', 'ws://a:8080/http/'],
        ['https://a/b', 'wss://a/b'],
        ['/chat/chat_websocket/', 'wss://chat.example/chat/chat_websocket/'],
        ['socket', 'wss://chat.example/room/socket'],
        ['wss://a/b#part', 'wss://a/b'],
    ];
    for (const [given, expected] of cases) {
        assert.equal(socketUrl(given, page), expected);
    }
    assert.throws(() => socketUrl('ftp://a/', page), SyntaxError);
    assert.throws(() => socketUrl('/relative', undefined), TypeError);
});
