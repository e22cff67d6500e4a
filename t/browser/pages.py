"""The demo's pages as a person uses them: one tab each, in one Chromium."""

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from harness.process import wait_until

# What stands in the browser's console when servers are killed.
EXPECTED = ("WebSocket connection to", "ERR_CONNECTION_REFUSED")


class Tab:
    """A tab of its own; each call brings it to the front first."""

    def __init__(self, driver, url):
        self.driver = driver
        driver.switch_to.new_window("tab")
        self.handle = driver.current_window_handle
        driver.get(url)

    def front(self):
        if self.driver.current_window_handle != self.handle:
            self.driver.switch_to.window(self.handle)
        return self.driver

    def script(self, text, *args):
        return self.front().execute_script(text, *args)

    def text(self, selector):
        return self.script(
            "return document.querySelector(arguments[0])?.textContent",
            selector)

    def click(self, selector):
        self.front().find_element(By.CSS_SELECTOR, selector).click()

    def reload(self):
        self.front().refresh()

    def complaints(self):
        """What the console has beyond the end of connections."""
        return [entry["message"] for entry in self.front().get_log("browser")
                if not any(part in entry["message"] for part in EXPECTED)]

    def close(self):
        self.front().close()
        self.driver.switch_to.window(self.driver.window_handles[0])


class ChatTab(Tab):
    """The chat as one user has it on the screen."""

    @property
    def state(self):
        return self.script("return document.body.dataset.state")

    @property
    def sessions(self):
        return int(self.text("#fact-sessions"))

    def wait_state(self, state, timeout=20):
        wait_until(lambda: self.state == state, timeout,
                   f"state {state} in {self.script('return document.title')}")
        return self

    def wait_sessions(self, number, timeout=20):
        """Waits for the session with this number, counted from 1."""
        wait_until(lambda: self.sessions >= number, timeout,
                   f"session {number}")
        return self.wait_state("ready")

    def say(self, text):
        box = self.front().find_element(By.ID, "text")
        box.send_keys(text + Keys.ENTER)

    def messages(self):
        """[(author, content, state)] as they stand on the screen."""
        return [tuple(row) for row in self.script("""
            return [...document.querySelectorAll('.message')].map((node) => [
                node.querySelector('.author').textContent,
                node.querySelector('.content').textContent,
                node.dataset.state,
            ])""")]

    def contents(self):
        return [content for _, content, _ in self.messages()]

    def wait_message(self, content, state="stored", timeout=20):
        def there():
            return [row for row in self.messages() if row[1:] == (content,
                                                                  state)]
        return wait_until(there, timeout, f"message {content!r}, {state}")[0]

    def events(self):
        """The event log, oldest first."""
        return self.script("""
            return [...document.querySelectorAll('.event > span')]
                .map((node) => node.textContent).reverse()""")
