"""A page that was written for the recipe, unchanged."""

import pytest

from harness.process import wait_until

VERDICT = "#{} .verdict"


def verdict(page, column):
    """What the column ended with: "passed", or "failed" and why."""
    selector = VERDICT.format(column)
    wait_until(lambda: page.script(
        "return document.querySelector(arguments[0]).dataset.verdict",
        selector), 30, "a verdict")
    return page.text(selector)


@pytest.mark.parametrize("column", ["plain", "wsconnect"])
def test_the_recipe_works(site, column):
    page = site.open("recipe.html")
    assert verdict(page, column) == "passed", page.text(f"#{column} ol")


def test_both_see_what_others_left(site):
    ada = site.chat(1)
    ada.say("for three")
    ada.wait_message("for three")
    page = site.open("recipe.html")
    for column in ("plain", "wsconnect"):
        assert verdict(page, column) == "passed", page.text(f"#{column} ol")
    ada.wait_message("A greeting through WsConnect")
    ada.wait_message("What waited comes before this")


def test_it_fails_where_it_should(make_site):
    # Without trust nobody can name himself by 230.
    site = make_site(trust=False)
    page = site.open("recipe.html")
    assert verdict(page, "plain") == "failed: the connection closed"
