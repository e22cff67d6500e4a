"""make install and make uninstall, and what the docs tell to configure."""

import os
import re
import subprocess

import pytest

from harness.servers import BUILD, CHAT_WORKER, MODULE, NGINX, ROOT


def make(*arguments):
    environment = {**os.environ, "BUILD": os.path.relpath(BUILD, ROOT)}
    environment.pop("MAKEFLAGS", None)
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment,
                          check=True, capture_output=True, text=True).stdout


def test_install_and_uninstall(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/chat")
    worker = tmp_path / "opt/chat/bin/chat-worker"
    assert subprocess.run([worker, "--version"], check=True,
                          capture_output=True).stdout
    [module] = tmp_path.rglob("ngx_http_chat_module.so")
    assert module.parent.name == "modules"
    assert module.read_bytes() == MODULE.read_bytes()
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/opt/chat")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_second_make_does_nothing():
    assert "Nothing to be done" in make("all")


def nginx_snippets():
    """The nginx configurations in README.md and docs/."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(r"```nginx\n(.*?)```", page.read_text(), re.S)
        for number, block in enumerate(blocks):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("text", nginx_snippets())
def test_documented_nginx_configuration_is_valid(tmp_path, text):
    text = re.sub(r"load_module .*?;", "", text)
    text = re.sub(r"listen [^;]*;", "listen 127.0.0.1:1;", text)
    if not re.search(r"^\s*http\s*\{", text, re.M):
        if not re.search(r"^\s*server\s*\{", text, re.M):
            text = f"server {{\n{text}\n}}"
        text = f"http {{\n{text}\n}}"
    if not re.search(r"^\s*events\s*\{", text, re.M):
        text = f"events {{}}\n{text}"
    config = tmp_path / "nginx.conf"
    config.write_text(f"load_module {MODULE};\npid {tmp_path}/pid;\n{text}")
    result = subprocess.run(
        [NGINX, "-t", "-p", tmp_path, "-e", tmp_path / "error.log",
         "-c", config], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def toml_snippets():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(r"```toml\n(.*?)```", page.read_text(), re.S)
        for number, block in enumerate(blocks):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("text", toml_snippets())
def test_documented_worker_configuration_is_valid(tmp_path, text):
    if "[relay]" not in text:
        text += '\n[relay]\nlisten = ["unix:/tmp/x.sock"]\n'
    if "[membership]" not in text:
        text += '\n[membership]\nurl = "sqlite:/tmp/x.db"\n'
    config = tmp_path / "chat-worker.toml"
    config.write_text(text)
    result = subprocess.run([CHAT_WORKER, "-t", "-c", config],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
