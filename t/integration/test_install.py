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


def snippets(language):
    """The examples in README.md and docs/, as parameters of a test."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)
        for number, block in enumerate(blocks):
            yield pytest.param(block, id=f"{page.name}-{number}")


# What an example may take from the configuration around it.
AROUND = """
upstream workers { server 127.0.0.1:1; }
upstream django { server 127.0.0.1:1; }
map $arg_a $who { default 1; }
map $arg_a $jwt_claim_sub { default 1; }
"""
MAIN = {"load_module", "user", "worker_processes", "worker_rlimit_nofile",
        "events", "http", "error_log", "env", "worker_shutdown_timeout"}
HTTP = {"upstream", "log_format", "limit_conn_zone", "limit_req_zone", "map",
        "server", "geo", "js_import"}


def statements(text):
    """Top-level directives, with their blocks."""
    text = re.sub(r"(?m)(^|\s)#.*$", "", text.replace("…", ""))
    depth, start = 0, 0
    for at, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if depth == 0 and char in ";}":
            yield text[start:at + 1].strip()
            start = at + 1


def complete(text):
    """A whole nginx.conf around an example that may be part of one."""
    parts = {"main": "", "http": "", "server": ""}
    for number, statement in enumerate(statements(text)):
        name = re.split(r"[\s{;]", statement, 1)[0]
        if name == "load_module":
            continue
        if name in MAIN:
            parts["main"] += statement + "\n"
        elif name in HTTP:
            parts["http"] += statement + "\n"
        elif name == "location":
            parts["server"] += statement + "\n"
        else:  # alternatives of each other, perhaps
            parts["server"] += f"location /{number}/ {{ {statement} }}\n"
    if "http {" not in parts["main"]:
        parts["main"] += "http {\n}\n"
    if "events {" not in parts["main"]:
        parts["main"] += "events {}\n"
    server = f"server {{ {parts['server']} }}" if parts["server"] else ""
    around = "\n".join(line for line in AROUND.splitlines() if " ".join(
        line.split()[:2]) not in text)
    return re.sub(r"http \{", lambda _: "http {\n" + around
                  + parts["http"] + server, parts["main"], 1)


@pytest.mark.parametrize("text", snippets("nginx"))
def test_documented_nginx_configuration_is_valid(tmp_path, text):
    text = re.sub(r"listen +\S+?( |;)", r"listen 127.0.0.1:1\1",
                  complete(text))
    config = tmp_path / "nginx.conf"
    (tmp_path / "logs").mkdir()  # where an nginx without --http-log-path logs
    config.write_text(f"load_module {MODULE};\npid {tmp_path}/pid;\n{text}")
    result = subprocess.run(
        [NGINX, "-t", "-p", tmp_path, "-e", tmp_path / "error.log",
         "-c", config], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("text", snippets("toml"))
def test_documented_worker_configuration_is_valid(tmp_path, text):
    if text.startswith("query ="):
        text = "[membership]\n" + text
    if "[relay]" not in text:
        text += '\n[relay]\nlisten = ["unix:/tmp/x.sock"]\n'
    if "[membership]" not in text:
        text += '\n[membership]\n'
    if "url = \"sqlite" not in text and "url = \"postgres" not in text:
        text = text.replace("[membership]\n",
                            '[membership]\nurl = "sqlite:/tmp/x.db"\n')
    config = tmp_path / "chat-worker.toml"
    config.write_text(text)
    result = subprocess.run([CHAT_WORKER, "-t", "-c", config],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["nginx.conf"])
def test_the_example_is_valid(tmp_path, name):
    """docs/examples/nginx.conf, but for its certificate."""
    text = (ROOT / "docs/examples" / name).read_text()
    text = re.sub(r"ssl_certificate(_key)? .*?;", "", text)
    text = text.replace(" ssl http2", "").replace("user www-data;", "")
    test_documented_nginx_configuration_is_valid(tmp_path, text)
