"""Who a client is: proven by nginx, or claimed where that is allowed."""

import pytest

from harness.websocket import HandshakeFailed


def test_a_proven_user_needs_no_230(stack):
    stack.connect(1).say(21, "x")


def test_230_that_repeats_the_proven_user_is_accepted(stack):
    client = stack.connect(1)
    client.send_json(230, "1")
    client.say(21, "x")


@pytest.mark.parametrize("trust", [True, False])
def test_230_that_names_another_than_the_proven_user_is_refused(
        make_stack, trust):
    stack = make_stack(trust=trust)
    client = stack.connect(1)
    client.send_json(230, 2)
    assert client.expect(300)["data"]["msg"]
    client.say(21, "x")
    [(_, news)] = client.news(1)
    assert news["send_user_id"] == "1"


def test_without_trust_an_empty_chat_user_is_403(make_stack):
    stack = make_stack(trust=False)
    with pytest.raises(HandshakeFailed) as failed:
        stack.connect()
    assert failed.value.status == 403


def test_without_trust_and_without_chat_user_230_is_refused(make_stack):
    stack = make_stack(server="""
        location /open/ { chat_pass unix:@WORKER@; }""", trust=False)
    client = stack.connect(path="/open/")
    client.expect(231)
    client.send_json(230, 1)
    assert client.expect(300)["data"]["msg"]
    client.send_message(21, "x", send_id="s")
    assert client.expect(300)["data"]["send_id"] == "s"


def test_with_trust_a_later_230_changes_the_user(stack):
    """As in the recipe: the page logged out and in again."""
    client = stack.connect()
    client.identify(4)
    client.send_json(230, 2)
    assert client.expect(240)["data"]["user"] == 2
    client.say(21, "x")
    [(_, news)] = client.news(1)
    assert news["send_user_id"] == 2 and news["receive_user_id"] == 2
    stack.connect(1).say(22, "for the one before")
    client.quiet()


def test_auth_request_decides(make_stack):
    """As on a real site: the back end says who it is, by a header."""
    stack = make_stack(trust=False, http="""
        server {
            listen unix:@FOLDER@/backend.sock;
            location /who { add_header X-User 2; return 204; }
            location /nobody { return 401; }
        }""", server="""
        location = /who {
            internal;
            proxy_pass http://unix:@FOLDER@/backend.sock:/who;
        }
        location = /nobody {
            internal;
            proxy_pass http://unix:@FOLDER@/backend.sock:/nobody;
        }
        location /known/ {
            auth_request /who;
            auth_request_set $login $upstream_http_x_user;
            chat_pass unix:@WORKER@;
            chat_user $login;
        }
        location /unknown/ {
            auth_request /nobody;
            chat_pass unix:@WORKER@;
            chat_user 2;
        }""")
    client = stack.connect(path="/known/")
    assert client.expect(240)["data"]["user"] == "2"
    with pytest.raises(HandshakeFailed) as failed:
        stack.connect(path="/unknown/")
    assert failed.value.status == 401
