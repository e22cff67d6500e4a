"""Chromium, and the demo's pages in front of the whole path."""

import os
import shutil
import tempfile

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from harness.servers import ROOT

from pages import ChatTab, Tab

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1280,800",
)

# As in the demo's nginx.conf.
PAGES = f"""\
        location / {{
            types {{
                text/html html;
                text/css css;
                text/javascript js;
                image/svg+xml svg;
            }}
            root {ROOT}/client/demo;
            index index.html;
        }}
        location /client/ {{
            types {{
                text/javascript js;
            }}
            alias {ROOT}/client/src/;
        }}"""


@pytest.fixture(scope="session")
def chromium():
    """One Chromium for all tests; each test uses tabs of its own."""
    profile = tempfile.mkdtemp(prefix="chat-chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
    driver = webdriver.Chrome(service=service, options=options)
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


class Site:
    """The demo in front of a Stack, in a browser that has not seen it yet."""

    def __init__(self, driver, stack):
        self.driver = driver
        self.stack = stack
        self.tabs = []
        driver.execute_cdp_cmd("Storage.clearDataForOrigin", {
            "origin": self.url().rstrip("/"), "storageTypes": "all"})

    def url(self, path=""):
        return f"http://127.0.0.1:{self.stack.nginx.port}/{path}"

    def open(self, path, kind=Tab):
        self.tabs.append(kind(self.driver, self.url(path)))
        return self.tabs[-1]

    def chat(self, user):
        """The chat as this user, ready to send and receive."""
        return self.open(f"?user={user}", ChatTab).wait_state("ready")

    def presence(self, user):
        return self.stack.redis.client.exists(
            f"chat:presence:{{WaitSendNews_{user}}}")


@pytest.fixture
def make_site(chromium, make_stack):
    """A Site over a Stack with the options given."""
    sites = []

    def make(**options):
        sites.append(Site(chromium, make_stack(server=PAGES, **options)))
        return sites[-1]

    yield make
    complaints = []
    for site in sites:
        for tab in site.tabs:
            complaints += tab.complaints()
            tab.close()
    assert not complaints, complaints


@pytest.fixture
def site(make_site):
    return make_site()
