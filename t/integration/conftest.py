"""Fixtures of several of these tests."""

import subprocess

import pytest

from relay_bench import Bench


def _stopped_in_the_end(kind):
    made = []

    def make(*args, **options):
        made.append(kind(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def make_bench():
    yield from _stopped_in_the_end(Bench)


@pytest.fixture
def make_site(request):
    """Makes sites of the class Site of the test's module."""
    yield from _stopped_in_the_end(request.module.Site)


@pytest.fixture
def bench(make_bench):
    return make_bench()


@pytest.fixture
def certificate(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-keyout", tmp_path / "key.pem", "-out",
                    tmp_path / "cert.pem", "-days", "2", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)
    return tmp_path
