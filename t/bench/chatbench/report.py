"""Tables from the results: median and spread over the rounds."""

from statistics import median

REFERENCE = "project"


def per_operation(result):
    """Microseconds of server CPU time per operation."""
    return sum(result["cpu"].values()) / max(1, result["operations"]) * 1e6


def kib_per_connection(result):
    return sum(result["memory"].values()) / max(1, result["operations"]) / 1024


def _group(results):
    """{(case, phase): {system: {round: result}}} in order of appearance."""
    groups = {}
    for result in results:
        key = (result["case"], result["phase"])
        by_system = groups.setdefault(key, {})
        by_system.setdefault(result["system"], {})[result["round"]] = result
    return groups


def _spread(values, digits):
    values = sorted(values)
    middle = f"{median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({values[0]:.{digits}f}–{values[-1]:.{digits}f})"


def _time(microseconds):
    if microseconds >= 100000:
        return f"{microseconds / 1e6:.2f} s"
    if microseconds >= 1000:
        return f"{microseconds / 1e3:.1f} ms"
    return f"{microseconds:.0f} µs"


def _ratios(rounds, reference, value):
    return [value(result) / value(reference[number])
            for number, result in rounds.items()
            if number in reference and value(reference[number]) > 0]


def _parts(results, what, scale):
    """Which process has how much of it: results[..][what][name] * scale."""
    names = sorted({name for result in results for name in result[what]})
    if len(names) < 2:
        return ""
    parts = []
    for name in names:
        share = median(result[what].get(name, 0) / result["operations"] * scale
                       for result in results)
        parts.append(f"{name} {share:.2f}")
    return " + ".join(parts)


def _row(system, rounds, reference, value, digits):
    results = list(rounds.values())
    ratios = _ratios(rounds, reference, value)
    row = [system.title + (" ●" if system.stored else ""),
           _spread([value(result) for result in results], digits),
           _spread(ratios, 2) if ratios else "–"]
    if value is per_operation:
        middle = {name: median(result[name] for result in results)
                  for name in ("per_second", "p50_us", "p99_us", "p999_us")}
        row += [f"{middle['per_second']:,.0f}", _time(middle["p50_us"]),
                _time(middle["p99_us"]), _time(middle["p999_us"]),
                _parts(results, "cpu", 1e6)]
    else:
        kernel = median(result["kernel_memory"] / result["operations"] / 1024
                        for result in results)
        row += [f"{kernel:.1f}", _parts(results, "memory", 1 / 1024)]
    faults = {kind: fault for result in results
              for kind, fault in result["faults"].items()}
    row.append("; ".join(f"{kind}: {count} {why}".strip()
                         for kind, (count, why) in faults.items()))
    return row


def tables(results, cases, systems):
    """[(title, header, rows)] for all that was measured."""
    titles = {case.name: case for case in cases}
    found = []
    for (name, phase), by_system in _group(results).items():
        case = titles[name]
        memory = case.name == "idle"
        value = kib_per_connection if memory else per_operation
        reference = by_system.get(REFERENCE, {})
        header = ["system", "KiB each" if memory else f"µs per {case.unit}",
                  "ratio"]
        header += (["kernel KiB each (both ends)", "of which"] if memory else
                   ["per second", "p50", "p99", "p99.9", "of which"])
        header.append("faults")
        label = {"rate": ", fixed rate", "full": ", as fast as it goes"}
        rows = [_row(systems[system], rounds, reference, value, 2)
                for system, rounds in by_system.items()]
        if not any(row[-1] for row in rows):
            header, rows = header[:-1], [row[:-1] for row in rows]
        found.append((case.title + label.get(phase, ""), header, rows))
    return found


def as_text(table):
    title, header, rows = table
    widths = [max(len(row[i]) for row in [header, *rows])
              for i in range(len(header))]
    lines = [title]
    for row in [header, *rows]:
        cells = [cell.ljust(width) if i in (0, len(row) - 1)
                 else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def as_markdown(table):
    title, header, rows = table
    lines = [f"### {title}", "",
             "| " + " | ".join(header) + " |",
             "| --- " + "| ---: " * (len(header) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def peers_ahead(results, cases, systems):
    """Sentences on the cases in which another system is cheaper."""
    titles = {case.name: case for case in cases}
    found = []
    for (name, phase), by_system in _group(results).items():
        case = titles[name]
        value = kib_per_connection if name == "idle" else per_operation
        reference = by_system.get(REFERENCE)
        if not reference:
            continue
        for system, rounds in by_system.items():
            ratios = _ratios(rounds, reference, value)
            if system in (REFERENCE, "floor", "module") or not ratios:
                continue
            if median(ratios) < 1:
                stored = ("stored" if systems[system].stored else "not stored")
                found.append(f"{case.title} ({phase}): "
                             f"{systems[system].title} ({stored}) needs "
                             f"{median(ratios):.2f} of ours.")
    return found
