// The recipe's page as it stands, less Vue: only the import is another.

import { WsConnect } from './client/ws-connect.js';

const section = document.getElementById('wsconnect');
const verdict = section.querySelector('.verdict');
const current_user = new URLSearchParams(location.search).get('user') ?? '3';
const news_list = {};
const send_id = '21_' + (Date.now() + 1);
let stored = false;

const timer = setTimeout(() => finish('failed: no end in 20 s'), 20 * 1000);

function note(text) {
    const item = document.createElement('li');
    item.textContent = text;
    section.querySelector('ol').append(item);
}

function finish(result) {
    clearTimeout(timer);
    verdict.dataset.verdict = result.split(':')[0];
    verdict.textContent = result;
}

var ws_connect = new WsConnect(
    new URL('chat/chat_websocket/', document.baseURI).href,
);

ws_connect.onopen = function (event) {
    note('开启长连接');
};

ws_connect.onmessage = function (res) {
    // 231 申请初始化当前用户[后端发起指令]
    if (res['code'] == 231) {
        note('231: ' + res['msg']);
        ws_connect.sendMessage(current_user, 230, '初始化当前用户');

    // 235 信息发送成功
    } else if (res['code'] == 235) {
        note('235: ' + res['msg']);
        stored = stored || res['data']['send_id'] == send_id;

    // 300 信息发送失败
    } else if (res['code'] == 300) {
        finish('failed: ' + res['data']['msg']);

    // 236 接收到新消息
    } else if (res['code'] == 236) {
        var new_keys = [];
        for (var key in res['data']) {
            new_keys.push(key);
            if (key in news_list) {
                finish('failed: ' + key + ' came twice');
            }
            news_list[key] = res['data'][key];
        }
        ws_connect.sendMessage(new_keys, 237, '删除缓存[前端发起指令]');
        arrived();
    }
};

ws_connect.onclose = function (event) {
    note('关闭长连接');
    if (!verdict.dataset.verdict) {
        finish('passed');
    }
};

ws_connect.onerror = function (event) {
    note('出现错误');
};

function arrived() {
    const mine = Object.values(news_list).filter(
        (news) => news.send_id === send_id,
    );
    if (mine.length === 1 && stored) {
        note('236: ' + mine[0].send_user_id + ' 说：' + mine[0].content);
        ws_connect.closeConnect();
    }
}

ws_connect.createWS();
ws_connect.sendMessage({
    send_id,
    send_timestamp: Date.now(),
    chat_id: '21',
    new_type: 1,
    content: 'A greeting through WsConnect',
    resource_url: '',
}, 234, '发送消息');
