#!/usr/bin/python3
"""Measure this project beside its peers, in turn, and print the table.

Server CPU time is what the kernel accounts to all processes of the system
under test. On a loopback interface the receiving side of TCP runs in the
sender's system call, so a server's send() includes what the client's machine
would do, and its recv() lacks what its own would; that is the same for every
system, and the floor shows how much it is.
"""

import argparse
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from chatbench import report                                    # noqa: E402
from chatbench.cases import CASES                               # noqa: E402
from chatbench.measure import CaseFailed, run_case              # noqa: E402
from chatbench.systems import SYSTEMS, versions                 # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--short", action="store_true",
                        help="the most telling cases, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=840, metavar="S",
                        help="no further round is begun that would not end "
                        "in time (default: %(default)s s)")
    parser.add_argument("--case", action="append", metavar="NAME")
    parser.add_argument("--system", action="append", metavar="NAME")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", metavar="FILE",
                        help="write the results into this page")
    parser.add_argument("--keep", action="store_true",
                        help="keep the servers' directories")
    parser.add_argument("--profile", metavar="DIR",
                        help="record the servers with perf, a file a phase")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def find_paths(build):
    build = os.path.abspath(build)
    bench = os.path.join(build, "bench")
    peers = os.path.join(bench, "peers")
    return {
        "load": os.path.join(bench, "load"),
        "floor": os.path.join(bench, "floor"),
        "echo": os.path.join(build, "t", "tools", "echo_worker"),
        "module": os.path.join(build, "ngx_http_chat_module.so"),
        "worker": os.path.join(build, "chat-worker"),
        "peers": peers,
        "bun": os.path.join(peers, "node_modules", ".bin", "bun"),
        "certificate": os.path.join(bench, "certificate.pem"),
        "key": os.path.join(bench, "key.pem"),
    }


def make_certificate(paths):
    if not os.path.exists(paths["certificate"]):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
             "-subj", "/CN=localhost", "-keyout", paths["key"], "-out",
             paths["certificate"]], check=True, capture_output=True)


def raise_descriptor_limit(wanted=32000):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in ((wanted, max(hard, wanted)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            pass
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft < 12500:
        print(f"File descriptors are limited to {soft} (ulimit -Hn); cases "
              "with 10,000 connections need 12,500 and will fail.")


def machine():
    with open("/proc/cpuinfo") as f:
        models = [line.split(":", 1)[1].strip() for line in f
                  if line.startswith("model name")]
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) / 1024 ** 2
    return (f"{len(models)} × {models[0] if models else platform.machine()}, "
            f"{memory:.0f} GiB, Linux {platform.release()}")


def plan(options):
    cases = [case for case in CASES
             if (not options.case or case.name in options.case)
             and (not options.short or case.short)]
    names = options.system or list(SYSTEMS)
    return [(case, SYSTEMS[name]) for case in cases for name in names
            if case.fits(SYSTEMS[name])]


def run_round(number, pairs, paths, options, deadline):
    """Interleaved: all systems do a case before any goes to the next."""
    results = []
    for case, system in pairs:
        if deadline and time.monotonic() > deadline:
            print(f"The time is over: round {number} ends before {case.name}.")
            break
        try:
            found = run_case(case, system, paths, options.keep,
                             options.profile)
        except CaseFailed as e:
            print(f"{case.name} {system.name}: FAILED: {e}", flush=True)
            results.append({"case": case.name, "system": system.name,
                            "failed": str(e)})
            continue
        for result in found:
            result["round"] = number
            value = (f"{report.kib_per_connection(result):.2f} KiB"
                     if case.name == "idle"
                     else f"{report.per_operation(result):.2f} µs")
            note = " FAULTS " + json.dumps(result["faults"]) \
                if result["faults"] else ""
            print(f"{number} {case.name} {result['phase']} {system.name}: "
                  f"{value}, {result['per_second']:,.0f}/s, p50 "
                  f"{result['p50_us']:.0f} µs, p99 {result['p99_us']:.0f} µs"
                  f"{note}", flush=True)
        results += found
    return results


def run_rounds(pairs, paths, options):
    start = time.monotonic()
    end = start + options.budget
    results = run_round(1, pairs, paths, options, None)
    for number in range(2, options.rounds + 1):
        # Those that the headline rests on come first in further rounds.
        ordered = sorted(pairs, key=lambda pair: not pair[0].main)
        results += run_round(number, ordered, paths, options, end)
    print(f"Took {time.monotonic() - start:.0f} s.\n")
    return results


def write_markdown(path, results, command, rounds):
    begin, stop = "<!-- results -->", "<!-- end of results -->"
    with open(path) as f:
        before, rest = f.read().split(begin, 1)
        after = rest.split(stop, 1)[1]

    lines = [begin, "", f"Machine: {results['machine']}. "
             f"{time.strftime('%d %B %Y', time.gmtime())}. "
             f"Command: `{command}`. Rounds: {rounds}, median (min–max).", "",
             "Versions: " + ", ".join(results["versions"]) + ".", "",
             "● stored until acknowledged.", ""]
    good = [r for r in results["results"] if "failed" not in r]
    for table in report.tables(good, CASES, SYSTEMS):
        lines.append(report.as_markdown(table))
    lines += ["### Where a peer is better", ""]
    ahead = report.peers_ahead(good, CASES, SYSTEMS)
    lines += [f"- {sentence}" for sentence in ahead] or ["In no case."]
    failed = [r for r in results["results"] if "failed" in r]
    if failed:
        lines += ["", "### Not measured", ""]
        lines += [f"- {r['case']}, {SYSTEMS[r['system']].title}: "
                  f"{r['failed'].splitlines()[0]}" for r in failed]
    with open(path, "w") as f:
        f.write(before + "\n".join(lines) + "\n\n" + stop + after)


def main():
    options = parse_arguments()
    if options.list:
        for case in CASES:
            print(f"{case.name:14} {case.title}")
        return 0

    rounds = 1 if options.short else options.rounds
    options.rounds = rounds
    paths = find_paths(options.build)
    raise_descriptor_limit()
    make_certificate(paths)
    found = {"machine": machine(), "versions": versions(paths)}
    print(found["machine"], *found["versions"], sep="\n")

    found["results"] = run_rounds(plan(options), paths, options)
    good = [r for r in found["results"] if "failed" not in r]
    for table in report.tables(good, CASES, SYSTEMS):
        print(report.as_text(table))
    for sentence in report.peers_ahead(good, CASES, SYSTEMS):
        print(sentence)

    if options.json:
        with open(options.json, "w") as f:
            json.dump(found, f, indent=1)
    if options.markdown:
        command = os.environ.get("BENCH_COMMAND",
                                 shlex.join(["t/bench/run.py", *sys.argv[1:]]))
        write_markdown(options.markdown, found, command, rounds)
    bad = [r for r in found["results"] if r.get("failed") or r.get("faults")]
    return 1 if any(r["system"] == report.REFERENCE for r in bad) else 0


if __name__ == "__main__":
    sys.exit(main())
