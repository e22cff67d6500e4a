-- The tables of a Django site, as far as chat-worker reads them: its users,
-- its chats, and the through table of ChatList.users. The demo creates them
-- once; a real site's own migrations do.

CREATE TABLE auth_user (
    id integer PRIMARY KEY AUTOINCREMENT,
    username varchar(150) NOT NULL UNIQUE
);

CREATE TABLE chat_chatlist (
    id integer PRIMARY KEY AUTOINCREMENT,
    name varchar(100) NOT NULL
);

CREATE TABLE chat_chatlist_users (
    id integer PRIMARY KEY AUTOINCREMENT,
    chat_id integer NOT NULL REFERENCES chat_chatlist (id),
    user_id integer NOT NULL REFERENCES auth_user (id),
    UNIQUE (chat_id, user_id)
);

INSERT INTO auth_user (id, username) VALUES
    (1, 'Ada'), (2, 'Bao'), (3, 'Chen'), (4, 'Dario'), (5, 'Eve');

-- Eve is in no chat: what she sends is refused.
INSERT INTO chat_chatlist (id, name) VALUES (21, 'Demo');
INSERT INTO chat_chatlist_users (chat_id, user_id) VALUES
    (21, 1), (21, 2), (21, 3), (21, 4);
