"""Two people with the demo's page."""

import time

import pytest
from selenium.webdriver.common.by import By

from harness.process import wait_until
from pages import ChatTab


def test_a_user_is_picked(site):
    tab = site.open("", ChatTab)
    names = [tab.script("return arguments[0].textContent", name) for name in
             tab.driver.find_elements(By.CSS_SELECTOR, "#people .name")]
    assert names == ["Ada", "Bao", "Chen", "Dario", "Eve"]
    tab.driver.find_element(By.PARTIAL_LINK_TEXT, "Bao").click()
    tab.wait_state("ready")
    assert tab.text("#my-name") == "Bao"
    assert tab.text("#status-text") == "Connected"


def test_what_one_says_the_other_sees(site):
    ada, bao = site.chat(1), site.chat(2)
    ada.say("Hello Bao")
    assert bao.wait_message("Hello Bao")[0] == "Ada"
    ada.wait_message("Hello Bao", "stored")
    bao.say("你好 Ada 👋")
    assert ada.wait_message("你好 Ada 👋")[0] == "Bao"
    for tab in (ada, bao):
        assert tab.contents() == ["Hello Bao", "你好 Ada 👋"]
    assert tab.text("#fact-pending") == "0"


def test_markup_is_text(site):
    ada, bao = site.chat(1), site.chat(2)
    text = "<img src=x onerror=\"document.title='owned'\"><b>&amp;</b>"
    ada.say(text)
    bao.wait_message(text)
    for tab in (ada, bao):
        assert tab.script("return document.querySelectorAll("
                          "'.messages img, .messages b').length") == 0
        assert "owned" not in tab.script("return document.title")


def test_hundred_messages_arrive_in_order_and_once(site):
    ada, bao = site.chat(1), site.chat(2)
    expected = [f"line {number}" for number in range(100)]
    ada.script("""
        const box = document.getElementById('text');
        for (const line of arguments[0]) {
            box.value = line;
            document.getElementById('composer').requestSubmit();
        }""", expected)
    wait_until(lambda: len(bao.messages()) >= 100, 20, "100 messages")
    assert bao.contents() == expected
    ada.wait_message("line 99")
    assert {state for _, _, state in ada.messages()} == {"stored"}
    assert ada.contents() == expected


def test_two_tabs_of_one_user_show_the_same(site):
    first, second, bao = site.chat(1), site.chat(1), site.chat(2)
    first.say("from my phone")
    second.wait_message("from my phone")
    second.say("from my desk")
    first.wait_message("from my desk")
    bao.wait_message("from my desk")
    for tab in (first, second, bao):
        assert tab.contents() == ["from my phone", "from my desk"]


def test_what_was_said_in_absence_waits(site):
    ada, bao = site.chat(1), site.chat(2)
    bao.click("#toggle")
    bao.wait_state("closed")
    ada.say("one")
    ada.say("two")
    ada.wait_message("two")
    assert bao.contents() == []
    bao.click("#toggle")
    bao.wait_message("two")
    assert bao.contents() == ["one", "two"]
    # Shown, so acknowledged; a reload shows what this browser has kept.
    wait_until(lambda: site.stack.redis.inbox(2) == {}, 5, "an empty inbox")
    bao.reload()
    bao.wait_state("ready")
    assert bao.contents() == ["one", "two"]


def test_who_is_no_member_is_told_so(site):
    eve = site.chat(5)
    eve.say("let me in")
    eve.wait_message("let me in", "failed")
    assert "member" in eve.text(".failure")
    site.stack.members.add(21, 5)

    def accepted():
        if eve.messages()[0][2] == "failed":
            eve.click(".failure button")
        return eve.messages()[0][2] == "stored"
    wait_until(accepted, 10, "membership that was added meanwhile")
    assert eve.contents() == ["let me in"]


def test_close_leaves_nothing_behind(site):
    ada = site.chat(1)
    wait_until(lambda: site.presence(1), 5, "presence")
    ada.click("#toggle")
    ada.wait_state("closed")
    wait_until(lambda: not site.presence(1), 5, "no presence")
    assert ada.events()[-1] == "ready → closed"
    assert not [event for event in ada.events() if "ended" in event]


def test_a_page_that_is_left_has_no_session_until_one_returns(site):
    ada = site.chat(1)
    wait_until(lambda: site.presence(1), 5, "presence")
    ada.front().get("about:blank")
    wait_until(lambda: not site.presence(1), 5, "no presence")
    bao = site.chat(2)
    bao.say("Where are you?")
    bao.wait_message("Where are you?")
    ada.front().back()
    ada.wait_message("Where are you?")


def test_an_idle_page_keeps_its_session(make_site):
    site = make_site(chat="chat_heartbeat_timeout 4s; chat_ping_interval 0;")
    ada = site.chat(1)
    assert "it waits 4 s for a heartbeat" in "\n".join(ada.events())
    time.sleep(9)  # twice the time-out: the passing of time is what is tested
    assert ada.sessions == 1
    assert ada.state == "ready"


@pytest.mark.parametrize("width, height", [(360, 640), (1280, 720)])
def test_the_page_fits_the_screen(site, width, height):
    ada = site.chat(1)
    ada.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1,
        "mobile": False})
    try:
        ada.say("unbreakable" * 40)
        ada.wait_message("unbreakable" * 40)
        size = ada.script("""
            const page = document.scrollingElement;
            const box = document.getElementById('composer')
                .getBoundingClientRect();
            return [page.scrollWidth, page.scrollHeight, box.bottom]""")
        assert size[0] <= width
        assert size[1] <= height
        assert size[2] <= height
    finally:
        ada.driver.execute_cdp_cmd(
            "Emulation.clearDeviceMetricsOverride", {})
