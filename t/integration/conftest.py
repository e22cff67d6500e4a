"""Fixtures of several of these tests."""

import subprocess

import pytest

from relay_bench import Bench


@pytest.fixture
def make_bench():
    benches = []

    def make(*args, **options):
        benches.append(Bench(*args, **options))
        return benches[-1]

    yield make
    for bench in benches:
        bench.stop()


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
