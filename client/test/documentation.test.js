// What is written about the package agrees with what it is.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { defaults } from '../src/defaults.js';
import * as index from '../src/index.js';

const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url),
    'utf8');

const rowOf = (text, name) => text.split('\n')
    .find((line) => line.startsWith('|') && line.includes(`\`${name}\``));

test('every option is declared, and documented with its default', () => {
    const types = read('src/chat-client.d.ts');
    const readme = read('README.md');
    for (const [name, value] of Object.entries(defaults)) {
        assert.ok(types.includes(`    ${name}?: number;`), `${name} in .d.ts`);
        const row = rowOf(readme, name);
        assert.ok(row, `${name} in README.md`);
        const numbers = row.match(/\d+/g).map(Number);
        assert.ok(numbers.includes(value), `default of ${name}: ${row}`);
    }
});

test('every export is declared', () => {
    const types = read('src/index.d.ts');
    for (const name of Object.keys(index)) {
        assert.match(types, new RegExp(`export \\{ ${name} \\}`));
    }
});

test('every method is declared', () => {
    for (const [path, type] of [['chat-client', index.ChatClient],
        ['ws-connect', index.WsConnect]]) {
        const types = read(`src/${path}.d.ts`);
        for (const name of Object.getOwnPropertyNames(type.prototype)) {
            assert.match(types, new RegExp(`\\b${name}(<[^>]*>)?[(:]`), name);
        }
    }
});

test('every event is declared and documented', () => {
    const source = read('src/chat-client.js');
    const names = new Set([...source.matchAll(/(?:emit|pass)\('(\w+)'/g)]
        .map(([, name]) => name));
    assert.deepEqual([...names].sort(), ['down', 'error', 'fault', 'frame',
        'identified', 'identify', 'retry', 'state']);
    const types = read('src/chat-client.d.ts');
    const readme = read('README.md');
    for (const name of names) {
        assert.match(types, new RegExp(`^    ${name}: `, 'm'));
        assert.ok(rowOf(readme, name), name);
    }
});

test('what the package exports is there', () => {
    const { exports } = JSON.parse(read('package.json'));
    for (const entry of Object.values(exports)) {
        for (const path of [entry].flatMap((value) =>
            (typeof value === 'string' ? value : Object.values(value)))) {
            assert.ok(read(path).length > 0, path);
        }
    }
});
