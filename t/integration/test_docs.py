"""The reference pages say what the program does: every directive, variable,
setting and metric, with its default, and nothing that does not exist."""

import json
import re
import subprocess
import urllib.request

import pytest

from harness.process import wait_until
from harness.servers import MODULE, NGINX, ROOT

DIRECTIVES = (ROOT / "docs/directives.md").read_text()
SETTINGS = (ROOT / "docs/worker-settings.md").read_text()


def source(name):
    return (ROOT / name).read_text()


def section(page, title):
    return re.search(rf"(?ms)^#+ {re.escape(title)}.*?\n(.*?)(?=^## |\Z)",
                     page)[1]


def table_names(text):
    """What stands in `code` in the first column of tables."""
    return {name for line in text.splitlines() if line.startswith("| `")
            for name in re.findall(r"`([^`{…]+)[^`]*`", line.split("|")[1])}


# nginx: directives

COMMANDS = {name: rest for name, rest in re.findall(
    r'(?:CHAT_DIRECTIVE\("|\{ngx_string\(")(chat_\w+)"(.*?)(?:nullptr|&\w+)[)}]',
    source("ngx_chat_module/conf_directives.cpp"), re.S)}
ENTRIES = {name: (syntax, default, context) for
           name, syntax, default, context in re.findall(
               r"### (chat_\w+)\n\n```\nSyntax:  (.*);\nDefault: (.*?);?\n"
               r"(?:Context: (.*)\n)?```", DIRECTIVES)}
UNITS = {"k": 1 << 10, "m": 1 << 20, "ms": 1, "s": 1000, "on": 1, "off": 0}
NAMED = {"kLogOpen": "open", "NGX_LOG_WARN": "warn"}


def test_directives_are_those_of_the_page():
    assert len(COMMANDS) > 20
    assert set(COMMANDS) == set(ENTRIES)
    assert set(COMMANDS) == set(re.findall(r"\[(chat_\w+)\]\(#\1\)",
                                           DIRECTIVES)) | {
        name for name in COMMANDS if name.startswith("chat_compression_")}


def merged_defaults():
    """{field of LocConf: default} as mergeValues() has it."""
    for field, value in re.findall(
            r"ngx_conf_merge_(?:\w+_)?value\(conf->(\w+),\s*prev->\w+,\s*(.*?)\);",
            source("ngx_chat_module/conf.cpp"), re.S):
        if value != "nullptr":
            yield field, NAMED.get(value) or eval(value.replace("UL", ""))


def plain(text):
    """A documented value in the units of the code: 64k, 10s, off, open."""
    number, unit = re.fullmatch(r"(\d*)(\w*)", text).groups()
    if unit and unit not in UNITS:
        return text
    return int(number or 1) * UNITS.get(unit, 1)


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_default_of_a_directive(name):
    documented = ENTRIES[name][1]
    field = re.findall(r"\w+", COMMANDS[name])[-1]
    default = dict(merged_defaults()).get(field)
    if documented == "—":
        assert default is None
        return
    directive, *values = documented.split()
    assert directive == name
    assert [plain(value) for value in values] == [default] * len(values)


EXAMPLES = {"chat_pass": "unix:/tmp/x.sock", "chat_user": "$arg_user",
            "chat_subprotocol": "chat.v1", "chat_status": "json"}


@pytest.mark.parametrize("level", ["main", "http", "server", "location"])
@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_context_of_a_directive(tmp_path, name, level):
    _, default, context = ENTRIES[name]
    line = (f"{name} {EXAMPLES[name]};" if default == "—" else f"{default};")
    at = {place: line if place == level else ""
          for place in ("main", "http", "server", "location")}
    config = tmp_path / "nginx.conf"
    (tmp_path / "logs").mkdir()
    config.write_text(f"""
        load_module {MODULE}; pid {tmp_path}/pid; {at["main"]} events {{}}
        http {{ {at["http"]} server {{ listen 127.0.0.1:1; {at["server"]}
            location / {{ {at["location"]} }} }} }}""")
    done = subprocess.run(
        [NGINX, "-t", "-p", tmp_path, "-e", tmp_path / "error.log",
         "-c", config], capture_output=True, text=True)
    allowed = context.split(", ") if context else ["http", "server",
                                                   "location"]
    assert (done.returncode == 0) == (level in allowed), done.stderr
    if level not in allowed:
        assert "is not allowed here" in done.stderr


# nginx: variables, metrics, reasons

def test_variables():
    assert set(re.findall(r'\{"(chat_\w+)", get',
                          source("ngx_chat_module/variables.cpp"))) == {
        name.strip("$") for name in
        table_names(section(DIRECTIVES, "Variables"))}


def test_reasons():
    """Why sessions end, and by whom."""
    reasons = re.findall(r'\{"([a-z ]+)",\s+"(\w+)", \w+\}',
                         source("ngx_chat_module/metrics.cpp"))
    documented = re.findall(r"(?m)^\| `([a-z ]+)` \| (\w+) \|",
                            section(DIRECTIVES, "Metrics"))
    assert sorted(reasons) == sorted(documented)


@pytest.fixture
def metrics(stack_with_status):
    """{name: type} that a running site shows, and what it shows as JSON."""
    url = f"http://127.0.0.1:{stack_with_status.nginx.port}/status"

    def shown():
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        return "chat_worker_" in text and text

    stack_with_status.connect(1).close()
    types = re.findall(r"(?m)^# TYPE (\w+) (\w+)$", wait_until(shown))
    with urllib.request.urlopen(f"{url}?format=json", timeout=5) as answer:
        return dict(types), json.load(answer)


@pytest.fixture
def stack_with_status(make_stack):
    return make_stack(server="location = /status { chat_status; }")


def test_metrics_of_nginx(metrics):
    shown = {name for name in metrics[0]
             if not name.startswith("chat_worker_")}
    documented = {name for name in
                  table_names(section(DIRECTIVES, "Metrics"))
                  if name.startswith("chat_") and name != "chat_worker_"}
    assert shown == documented


def test_metrics_of_nginx_as_json(metrics):
    types, answers = metrics
    shown = {f"chat_{name}" for name in answers} - {"chat_closes",
                                                    "chat_workers"}
    assert shown == {name for name in types
                     if not name.startswith("chat_worker_")} - {
        "chat_closes_total"}


def test_metrics_of_chat_worker(metrics):
    shown = {name[len("chat_worker_"):]: kind
             for name, kind in metrics[0].items()
             if name.startswith("chat_worker_")}
    documented = {}
    for line in section(SETTINGS, "Metrics").splitlines():
        if line.startswith("| `"):
            names, kind = line.split("|")[1:3]
            documented.update(dict.fromkeys(re.findall(r"`(\w+)`", names),
                                            kind.strip()))
    assert shown == documented


# chat-worker: settings

def documented_settings():
    """{(section, name): default as the page has it}"""
    for title, body in re.findall(r"(?ms)^## \[(\w+)\].*?\n(.*?)(?=^## )",
                                  SETTINGS):
        for line in body.splitlines():
            if match := re.match(r"\| `(\w+)`(?: ↻)? \| (.*?) \| ", line):
                yield (title, match[1]), match[2]


def code_settings():
    """{(section, name): default as config.hpp has it}"""
    text = re.sub(r"(?m)(^| )//.*", "", source("worker/config.hpp"))
    defaults = {(struct.lower(), name): "".join(value).strip()
                for struct, body in re.findall(
                    r"struct (\w+)Settings \{(.*?)\n\};", text, re.S)
                for name, *value in re.findall(
                    r"\s(\w+)(?:\{(.*?)\}| =(.*?))?;", body, re.S)}
    for part, name in re.findall(r'\{"(\w+)", "(\w+)",',
                                 source("worker/config.cpp")):
        camel = re.sub(r"_(\w)", lambda match: match[1].upper(), name)
        yield (part, name), defaults[part, camel]


SCALE = {"hours": 3600000, "minutes": 60000, "seconds": 1000}
SUFFIX = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}


def code_value(text):
    """A time in ms, a size or number, or a text."""
    if match := re.fullmatch(r"std::chrono::(\w+)\((.*)\)", text):
        return eval(match[2]) * SCALE[match[1]]
    if match := re.fullmatch(r"log::Level::(\w+)", text):
        return match[1].lower()
    if text.startswith('"'):
        return json.loads(text)
    if re.fullmatch(r"0\d+", text):
        return text
    return eval(re.sub(r"[UL']", "", text)) if text else None


def page_values(text):
    """What the default on the page can mean: "64m" is a size or a time."""
    if not text.startswith("`"):
        return {None}
    value = text.strip("`").strip('"')
    match = re.fullmatch(r"(\d+)([a-z]*)", value)
    if not match or value.startswith("0") and value != "0":
        return {value}
    number, unit = int(match[1]), match[2]
    sizes = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    return {number * table[unit] for table in (sizes, SUFFIX)
            if unit in table}


def test_settings_are_those_of_the_page():
    assert len(dict(code_settings())) > 25
    assert set(dict(code_settings())) == set(dict(documented_settings()))


@pytest.mark.parametrize("setting", sorted(dict(documented_settings())))
def test_default_of_a_setting(setting):
    code = dict(code_settings())[setting]
    assert (code_value(code) or None) in {
        value or None for value in page_values(
            dict(documented_settings())[setting])}
