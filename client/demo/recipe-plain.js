// A page as people wrote it for the recipe: a WebSocket and nothing else. It
// knows the codes 230 to 237 and 300, and ignores all others.

(function () {
    var section = document.getElementById('plain')
    var verdict = section.querySelector('.verdict')
    var user = new URLSearchParams(location.search).get('user') || '3'
    var url = new URL('chat/chat_websocket/', document.baseURI)
        .href.replace('http', 'ws')
    var chat_id = '21'
    var sent = []
    var stored = {}
    var keys = {}  // send_id → key in 236
    var timer = setTimeout(function () { finish('failed', 'no end in 20 s') },
        20 * 1000)

    function note(text) {
        var item = document.createElement('li')
        item.textContent = text
        section.querySelector('ol').appendChild(item)
    }

    function finish(result, reason) {
        if (verdict.dataset.verdict) return
        clearTimeout(timer)
        verdict.dataset.verdict = result
        verdict.textContent = reason ? result + ': ' + reason : result
    }

    function connect(handlers) {
        var ws = new WebSocket(url)
        var identified = false
        ws.onmessage = function (event) {
            if (event.data == 'pong') return handlers.pong(ws)
            var res = JSON.parse(event.data)
            if (res.code == 231) {
                note('231: ' + res.msg)
                sendMessage(ws, user, 230, '初始化当前用户')
                if (!identified) handlers.identified(ws)
                identified = true
            } else if (res.code == 235) {
                note('235: ' + res.msg + ' ' + res.data.msg)
                stored[res.data.send_id] = true
            } else if (res.code == 236) {
                receive(ws, res, handlers)
            } else if (res.code == 300) {
                finish('failed', '300: ' + res.data.msg)
            }
        }
        ws.onclose = function () { finish('failed', 'the connection closed') }
    }

    function sendMessage(ws, data, code, msg) {
        ws.send(JSON.stringify({ code: code, msg: msg, data: data }))
    }

    function say(ws, content) {
        var now = Date.now()
        sent.push(chat_id + '_' + now + '_' + sent.length)
        sendMessage(ws, {
            send_id: sent[sent.length - 1],
            send_timestamp: now,
            chat_id: chat_id,
            new_type: 1,
            content: content,
            resource_url: ''
        }, 234, '发送消息')
    }

    function receive(ws, res, handlers) {
        var new_keys = []
        for (var key in res.data) {
            new_keys.push(key)
            if (key == keys[sent[0]]) finish('failed', key + ' came twice')
        }
        sendMessage(ws, new_keys, 237, '删除缓存[前端发起指令]')
        new_keys.forEach(function (key) {
            var news = res.data[key]
            var number = sent.indexOf(news.send_id)
            if (number == -1 || keys[news.send_id]) return
            keys[news.send_id] = key
            check(news)
            handlers.news(ws, number)
        })
    }

    function check(news) {
        note('236: ' + news.send_user_id + ' says ' + news.content)
        if (!stored[news.send_id]) finish('failed', '236 came before 235')
        if (news.send_user_id != user || news.receive_user_id != user ||
            news.chat_id !== chat_id || news.new_type !== 1) {
            finish('failed', 'fields of the news')
        }
    }

    function firstSession() {
        connect({
            identified: function (ws) {
                say(ws, 'A greeting from a bare WebSocket')
            },
            news: function (ws, number) {
                // The second message follows the 237 of the first one; when
                // it has arrived, the first one is gone from the inbox.
                if (number == 0) say(ws, 'and another one')
                else ws.send('ping')
            },
            pong: function (ws) {
                note('ping, pong')
                ws.onmessage = ws.onclose = null
                ws.close()
                secondSession()
            }
        })
    }

    function secondSession() {
        connect({
            identified: function (ws) {
                say(ws, 'What waited comes before this')
            },
            news: function (ws, number) {
                if (number != 2) return
                note('what was acknowledged did not come again')
                ws.onclose = null
                ws.close()
                finish('passed')
            },
            pong: function () {}
        })
    }

    firstSession()
})()
