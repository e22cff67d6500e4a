-- Tells chat-worker at once when the members of a chat change, so that its
-- cache need not wait for membership.cache_ttl.
--
--   psql -d <database> -f notify.sql
--
-- Written for the table of the default query. With Django's automatic through
-- table replace chat_id by chatlist_id (and the table, if it is another); the
-- channel is the setting membership.notify_channel. A payload is the chat's
-- id; an empty one means that any chat may have changed.

CREATE OR REPLACE FUNCTION chat_membership_notify() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('chat_membership', '');
        RETURN NULL;
    END IF;

    -- PostgreSQL sends equal notifications of one transaction only once.
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('chat_membership', OLD.chat_id::text);
    END IF;

    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('chat_membership', NEW.chat_id::text);
    END IF;

    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS chat_membership_rows ON chat_chatlist_users;
CREATE TRIGGER chat_membership_rows
    AFTER INSERT OR UPDATE OR DELETE ON chat_chatlist_users
    FOR EACH ROW EXECUTE FUNCTION chat_membership_notify();

DROP TRIGGER IF EXISTS chat_membership_truncate ON chat_chatlist_users;
CREATE TRIGGER chat_membership_truncate
    AFTER TRUNCATE ON chat_chatlist_users
    FOR EACH STATEMENT EXECUTE FUNCTION chat_membership_notify();
