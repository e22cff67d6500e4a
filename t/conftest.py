"""Fixtures of the Python suites: real servers, thrown away after the test."""

import shutil
import tempfile
from pathlib import Path

import pytest

from harness.servers import Postgres
from harness.stack import Stack


@pytest.fixture
def make_stack():
    """Starts a Stack with the options given, as often as it is called."""
    stacks = []

    def make(**options):
        stacks.append(Stack(**options))
        return stacks[-1]

    yield make
    errors = []
    for stack in reversed(stacks):  # nodes before what they share
        try:
            stack.stop()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture
def stack(make_stack):
    """The whole path with one nginx worker and SQLite."""
    return make_stack()


def run_postgres():
    folder = Path(tempfile.mkdtemp(prefix="chat-pg-"))
    folder.chmod(0o755)
    server = Postgres(folder / "pg").start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL server for the tests that do not stop it."""
    yield from run_postgres()


@pytest.fixture
def own_postgres():
    """A PostgreSQL server that the test may stop."""
    yield from run_postgres()


@pytest.fixture(scope="module")
def restarted_postgres():
    """One that tests harm and leave running."""
    yield from run_postgres()
