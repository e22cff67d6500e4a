// The users of the demo's database (chat.sql); the page has no other way to
// know their names.

export const CHAT_ID = 21;

export const PEOPLE = new Map([
    ['1', { name: 'Ada' }],
    ['2', { name: 'Bao' }],
    ['3', { name: 'Chen' }],
    ['4', { name: 'Dario' }],
    ['5', { name: 'Eve', note: 'not in the chat' }],
]);

export function nameOf(user) {
    return PEOPLE.get(String(user))?.name ?? `User ${user}`;
}

/** The same colour for the same user everywhere. */
export function hueOf(user) {
    let hash = 7;
    for (const character of String(user)) {
        hash = (hash * 31 + character.codePointAt(0)) % 360;
    }
    return (hash * 47) % 360;
}
