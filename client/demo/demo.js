// One chat, one user, one connection, and a look at what it does.

import { ChatClient } from './client/index.js';
import { History } from './history.js';
import { CHAT_ID, nameOf, PEOPLE } from './people.js';
import { Unread } from './unread.js';
import {
    byId, EventLog, MessageList, paintAvatar, personLink,
} from './view.js';

// The server knows a send_id for 15 minutes; within that, sending it again
// cannot make a second message of it.
const RESEND_WITHIN = 10 * 60 * 1000;

const STATUS = {
    closed: 'Closed',
    connecting: 'Connecting…',
    open: 'Connected, waiting for the server',
    ready: 'Connected',
    waiting: 'Reconnecting…',
};

const user = new URLSearchParams(location.search).get('user');
if (user) {
    startChat(user);
} else {
    showPicker();
}

function showPicker() {
    for (const person of PEOPLE.keys()) {
        const item = document.createElement('li');
        item.append(personLink(person));
        byId('people').append(item);
    }
    byId('picker').hidden = false;
}

function startChat(me) {
    const history = new History(me, CHAT_ID);
    const list = new MessageList(byId('messages'), me, deliver);
    const log = new EventLog(byId('events'));
    const unread = new Unread(`${nameOf(me)} · chat ${CHAT_ID}`);
    const address = new URL('chat/chat_websocket/', document.baseURI);
    address.search = new URLSearchParams({ user: me });

    const client = new ChatClient(address, {
        onMessage: (news) => {
            show({ ...news, state: 'stored' });
            unread.add(String(news.send_user_id) !== me);
        },
    });

    function show(message) {
        list.show(history.put(message));
        byId('empty').hidden = true;
    }

    /** Sends a message that is shown already, and shows how it went. */
    async function deliver(message) {
        const { state, reason, ...sent } = message;
        show({ ...sent, state: 'sending' });
        try {
            const answer = client.send(sent);
            showPending();
            await answer;
            show({ ...sent, state: 'stored' });
        } catch (error) {
            if (error.code !== 'closed') {
                show({ ...sent, state: 'failed', reason: error.message });
                log.add(`Not sent: ${error.message}`, 'bad');
            }
        }
        showPending();
    }

    function say(content) {
        deliver({
            send_id: client.createSendId(CHAT_ID),
            send_timestamp: client.serverNow(),
            send_user_id: me,
            chat_id: CHAT_ID,
            content,
        });
    }

    function showPending() {
        byId('fact-pending').textContent = client.pending;
        byId('pending').textContent = client.pending || '';
    }

    layOut(me);
    for (const message of history.messages) {
        show(message);
    }
    watch(client, log);
    bindComposer(say);
    bindControls(client, () => {
        history.clear();
        list.clear();
        byId('empty').hidden = false;
    });
    client.connect();

    // What was under way when the page was left.
    for (const message of history.messages) {
        if (message.state === 'sending') {
            const age = Date.now() - message.send_timestamp;
            if (age < RESEND_WITHIN) {
                deliver(message);
            } else {
                show({
                    ...message, state: 'failed',
                    reason: 'The page was left before the server answered.',
                });
            }
        }
    }
}

function layOut(me) {
    document.title = `${nameOf(me)} · chat ${CHAT_ID}`;
    byId('chat-id').textContent = CHAT_ID;
    byId('my-name').textContent = nameOf(me);
    paintAvatar(byId('me'), me);
    for (const [person, { note }] of PEOPLE) {
        if (person !== me && !note) {
            byId('invite').append(personLink(person, { newTab: true }), ' ');
        }
    }
    byId('activity').open = matchMedia('(min-width: 56rem)').matches;
    byId('chat').hidden = false;
    byId('text').focus();
}

function watch(client, log) {
    let sessions = 0;
    let countdown = null;

    const status = (text) => {
        byId('status-text').textContent = text;
    };
    const paint = (state) => {
        clearInterval(countdown);
        document.body.dataset.state = state;
        byId('fact-state').textContent = state;
        byId('toggle').textContent = state === 'closed' ? 'Connect' : 'Close';
        status(STATUS[state]);
    };

    paint(client.state);
    client.on('state', ({ state, previous }) => {
        paint(state);
        log.add(`${previous} → ${state}`, state);
    });
    client.on('identified', ({ user, heartbeatTimeout }) => {
        sessions++;
        byId('fact-sessions').textContent = sessions;
        log.add(`The server knows this session as user ${user}; `
            + `it waits ${heartbeatTimeout / 1000} s for a heartbeat.`);
    });
    client.on('down', ({ code, reason }) => {
        log.add(`Connection ended: ${code}${reason ? ` ${reason}` : ''}`, 'bad');
    });
    client.on('retry', ({ attempt, delay }) => {
        log.add(`Attempt ${attempt} in ${(delay / 1000).toFixed(1)} s`);
        const at = Date.now() + delay;
        const tell = () => {
            const seconds = Math.max(0, Math.ceil((at - Date.now()) / 1000));
            status(`Reconnecting in ${seconds} s`);
        };
        tell();
        countdown = setInterval(tell, 500);
    });
    client.on('fault', ({ message }) => log.add(message, 'bad'));
    client.on('error', ({ error }) => {
        log.add(error instanceof Error ? error.message : 'Socket error', 'bad');
    });
}

function bindComposer(say) {
    const form = byId('composer');
    const text = byId('text');
    const fit = () => {
        text.style.height = 'auto';
        text.style.height = `${Math.min(text.scrollHeight, 160)}px`;
    };
    text.addEventListener('input', fit);
    text.addEventListener('keydown', (event) => {
        const composing = event.isComposing || event.keyCode === 229;
        if (event.key === 'Enter' && !event.shiftKey && !composing) {
            event.preventDefault();
            form.requestSubmit();
        }
    });
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        const content = text.value.trim();
        if (content !== '') {
            say(content);
            text.value = '';
            fit();
        }
        text.focus();
    });
}

function bindControls(client, forget) {
    byId('drop').addEventListener('click', () => client.reconnect());
    byId('forget').addEventListener('click', forget);
    byId('toggle').addEventListener('click', () => {
        if (client.state === 'closed') {
            client.connect();
        } else {
            client.close();
        }
    });
}
