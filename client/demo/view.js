// The page's elements. Everything that somebody else wrote goes through
// textContent.

import { hueOf, nameOf, PEOPLE } from './people.js';

const GROUP_WITHIN = 5 * 60 * 1000;
const EVENTS_SHOWN = 200;

const TICKS = {
    sending: { text: '◷', label: 'waiting for the server' },
    stored: { text: '✓', label: 'stored for everyone' },
    failed: { text: '!', label: 'not sent' },
};

const clock = new Intl.DateTimeFormat(undefined, {
    hour: '2-digit', minute: '2-digit',
});
const clockWithSeconds = new Intl.DateTimeFormat(undefined, {
    hour: '2-digit', minute: '2-digit', second: '2-digit',
});

export const byId = (id) => document.getElementById(id);

function element(name, className, text = '') {
    const node = document.createElement(name);
    node.className = className;
    node.textContent = text;
    return node;
}

export function paintAvatar(node, user) {
    node.textContent = [...nameOf(user).replace('User ', '')][0] ?? '?';
    node.style.setProperty('--hue', hueOf(user));
}

function avatar(user) {
    const node = element('span', 'avatar');
    node.setAttribute('aria-hidden', 'true');
    paintAvatar(node, user);
    return node;
}

export function personLink(user, { newTab = false } = {}) {
    const link = element('a', 'person');
    link.href = `?user=${encodeURIComponent(user)}`;
    if (newTab) {
        link.target = '_blank';
        link.rel = 'noopener';
    }
    const { note } = PEOPLE.get(user) ?? {};
    link.append(avatar(user), element('span', 'name', nameOf(user)));
    if (note && !newTab) {
        link.append(element('span', 'note', note));
    }
    return link;
}

export class MessageList {
    #list;
    #me;
    #retry;
    #nodes = new Map();
    #atEnd = true;

    /** retry(message) is called when the reader asks to send it again. */
    constructor(list, me, retry) {
        this.#list = list;
        this.#me = String(me);
        this.#retry = retry;
        list.addEventListener('scroll', () => {
            const { scrollHeight, scrollTop, clientHeight } = list;
            this.#atEnd = scrollHeight - scrollTop - clientHeight < 80;
        });
        // A keyboard that opens must not cover what is being answered.
        new ResizeObserver(() => this.#follow()).observe(list);
    }

    get size() {
        return this.#nodes.size;
    }

    /** Shows a message, or shows its new state. */
    show(message) {
        const id = `${message.send_user_id}\n${message.send_id}`;
        let node = this.#nodes.get(id);
        if (node === undefined) {
            node = this.#append(message);
            this.#nodes.set(id, node);
        }
        this.#paint(node, message);
        this.#follow();
    }

    clear() {
        this.#nodes.clear();
        this.#list.replaceChildren();
    }

    #append(message) {
        const mine = String(message.send_user_id) === this.#me;
        const node = element('li', mine ? 'message mine' : 'message');
        node.dataset.sendId = message.send_id;
        node.dataset.user = message.send_user_id;
        node.dataset.time = message.send_timestamp;
        node.classList.toggle('follows', this.#follows(message));

        const bubble = element('div', 'bubble');
        bubble.append(
            element('span', mine ? 'author hidden' : 'author',
                nameOf(message.send_user_id)),
            element('span', 'content', contentOf(message)),
            element('span', 'meta'));
        node.append(avatar(message.send_user_id), bubble);
        this.#list.append(node);
        this.#atEnd ||= mine;
        return node;
    }

    // Who reads further up is left there.
    #follow() {
        if (this.#atEnd) {
            this.#list.scrollTop = this.#list.scrollHeight;
        }
    }

    #paint(node, message) {
        const mine = String(message.send_user_id) === this.#me;
        node.dataset.state = message.state;
        const meta = node.querySelector('.meta');
        const time = element('time', '', clock.format(timeOf(message)));
        time.dateTime = new Date(timeOf(message)).toISOString();
        meta.replaceChildren(time);
        if (mine) {
            const { text, label } = TICKS[message.state];
            const tick = element('span', 'tick', text);
            tick.role = 'img';
            tick.ariaLabel = label;
            tick.title = label;
            meta.append(tick);
        }
        node.querySelector('.failure')?.remove();
        if (message.state === 'failed') {
            node.querySelector('.bubble').append(this.#failure(message));
        }
    }

    #failure(message) {
        const failure = element('span', 'failure', `${message.reason} `);
        const again = element('button', 'link', 'Send again');
        again.type = 'button';
        again.addEventListener('click', () => this.#retry(message));
        failure.append(again);
        return failure;
    }

    #follows(message) {
        const last = this.#list.lastElementChild;
        return last !== null
            && last.dataset.user === String(message.send_user_id)
            && timeOf(message) - Number(last.dataset.time) < GROUP_WITHIN;
    }
}

export class EventLog {
    #list;

    constructor(list) {
        this.#list = list;
    }

    add(text, kind = '') {
        const node = element('li', `event ${kind}`);
        const now = new Date();
        const time = element('time', '', clockWithSeconds.format(now));
        time.dateTime = now.toISOString();
        node.append(time, element('span', '', text));
        this.#list.prepend(node);
        while (this.#list.childElementCount > EVENTS_SHOWN) {
            this.#list.lastElementChild.remove();
        }
    }
}

// Anybody may send anything in these fields.
function contentOf({ content }) {
    return typeof content === 'string' ? content : JSON.stringify(content) ?? '';
}

function timeOf({ send_timestamp: time }) {
    const usable = Number.isFinite(Number(time))
        && Math.abs(Number(time)) < 8.64e15;
    return usable ? Number(time) : 0;
}
