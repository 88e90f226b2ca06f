"""What a run found, as tables for people and JSON for programs."""
import json
import os
import platform
import subprocess
import time

import plot
from contestants import differences
from latency import SHOWN
from places import ROOT


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def revision():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def machine(generator, options):
    return {"date": time.strftime("%Y-%m-%d %H:%M"), "note": options.note, "revision": revision(), "cores": os.cpu_count(),
            "processor": processor(), "kernel": platform.release(), "generator": f"smtp-source and smtp-sink of Postfix {generator.version}",
            "load_average": os.getloadavg()[0], "pairs": options.pairs, "seconds": options.seconds, "places": {}, "left_out": {}}


def facts(place, servers):
    """What must stand beside the figures of a place."""
    median, p99 = place.sync_latency()
    return {"title": place.title, "mounted": place.describe(), "sync_us": {"median": median, "p99": p99},
            "contestants": [{"name": server.name, "title": server.title, "version": server.version, "durability": server.durability()}
                            for server in servers],
            "differences": differences(servers)}


# --- tables ---

def range_text(values, digits=0):
    return f"{values['median']:.{digits}f} ({values['least']:.{digits}f}-{values['most']:.{digits}f})"


def rate_rows(place):
    names = [one["name"] for one in place["contestants"]]
    yield ["load", *(one["title"] for one in place["contestants"]), "unit", "ratio", "goal", "generator's share of all CPUs"]
    for name, load in place["rates"].items():
        if "error" not in load:
            found = load["summary"]
            yield [f"{name}: {load['title']}", *(range_text(found["rates"][one]) for one in names), load["unit"],
                   range_text(found["ratio"], 2), load["goal"] or "",
                   " / ".join(f"{found['generator_share'][one]:.0%}" for one in names)]


def cost_cells(row):
    """Of one process or the total; empty where the contestant has none."""
    return [f"{row['count']}", f"{row['cpu_us']:.1f}", f"{row['calls']:.1f}", f"{row['switches']:.1f}", f"{row['pss_mb']:.1f}"] if row else [""] * 5


def account_rows(place, load):
    """Both contestants side by side, a line for each process that did something."""
    found = [load[one["name"]] for one in place["contestants"]]
    head = ["processes", "CPU us", "calls", "switches", "PSS MB"]
    yield ["process", *(f"{one['title']}: {cell}" if cell == head[0] else cell for one in place["contestants"] for cell in head)]
    names = sorted(set().union(*(one["processes"] for one in found)))
    for name in names:
        rows = [one["processes"].get(name) for one in found]
        if any(row and (row["cpu_us"] >= 0.05 or row["calls"] >= 0.05) for row in rows):
            yield [name, *(cell for row in rows for cell in cost_cells(row))]
    yield ["total", *(cell for one in found for cell in cost_cells(one["total"]))]
    yield ["syncs", *(cell for one in found for cell in ["", "", f"{sum(one['syncs'].values()):.2f}", "", ""])]
    yield ["generator", *(cell for one in found for cell in ["", f"{one['generator_cpu_us']:.1f}", "", "", ""])]


def backlog_rows(place):
    yield ["contestant", "deferred", "first new mail after start, s", "quiet after start, s", "qmgr at most, MB", "new mail/s", "to none"]
    for one in place["contestants"]:
        for count, found in place["backlogs"][one["name"]].items():
            if count != "error":
                yield [one["title"], count, f"{found['first_seconds']:.1f}", f"{found['settled_seconds']:.1f}", f"{found['qmgr_most_mb']:.0f}",
                       range_text(found["rate"]), range_text(found["to_none"], 2)]


def latency_rows(found):
    yield ["contestant", "messages/s", "which is", *(("max" if q == "1" else f"p{float(q) * 100:g}") + ", ms" for q in SHOWN)]
    for case in found["cases"]:
        yield [case["title"], case["rate"], case["what"], *(f"{case['quantiles'][q] / 1000:.2f}" for q in SHOWN)]


def text_table(rows):
    rows = [list(map(str, row)) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown_table(rows):
    rows = [list(map(str, row)) for row in rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def place_sections(place):
    """(heading, rows) of what was measured on a place."""
    if place.get("rates"):
        yield "Rates: median (least-most), in turn", list(rate_rows(place))
    for name, load in place.get("accounts", {}).items():
        if "error" not in load:
            yield f"Costs of a message by process, {name}; memory of all processes at the end", list(account_rows(place, load))
    for found in place.get("latencies", {}).values():
        if "error" not in found:
            yield "Time from when a message was due to its 250, open loop (median of the runs)", list(latency_rows(found))
    if place.get("backlogs"):
        yield "Beside deferred messages: receive to discard, 20 kept sessions, after the first scan", list(backlog_rows(place))


def errors(place):
    """(part, name, what went wrong)"""
    return [(part, name, found["error"]) for part, results in place.items() if isinstance(results, dict)
            for name, found in results.items() if isinstance(found, dict) and "error" in found]


def place_lines(place):
    yield f"Mounted: {place['mounted']}; appending 4 KB and fdatasync: median {place['sync_us']['median']:.0f} us, p99 {place['sync_us']['p99']:.0f} us."
    for one in place["contestants"]:
        yield f"{one['title']} {one['version']}: {one['durability']}; {one['syncs']}."
    for name, theirs, ours in place["differences"]:
        yield f"Differs in configuration: {name}: {theirs or '(empty)'} / {ours or '(empty)'}."


def document(results, heading, table):
    """The whole report; `heading` and `table` say how each is written."""
    lines = [heading(1, f"Posthouse {results['revision']} beside Postfix, {results['date']}"), ""]
    lines += [results["note"], ""] if results["note"] else []
    lines += [f"{results['cores']} cores ({results['processor']}), Linux {results['kernel']}, load average before the run {results['load_average']:.1f}. "
              f"Load by {results['generator']}, on the same cores. {results['pairs']} pairs of samples of about {results['seconds']:g} s.", ""]
    if results["load_average"] > results["cores"] / 2:
        lines += ["The machine was busy with other work: these figures show that the suite works, and no more.", ""]
    lines += [f"Left out: {name}: {reason}." for name, reason in results["left_out"].items()]
    for name, place in results["places"].items():
        lines += [heading(2, f"On {name}: {place['title']}"), ""]
        lines += [f"- {line}" for line in place_lines(place)]
        for title, rows in place_sections(place):
            lines += ["", heading(3, title), "", table(rows)]
        lines += ["", *(f"No figure for {name} ({part}): {error}" for part, name, error in errors(place)), ""]
    return "\n".join(lines)


def text_heading(level, text):
    return text if level > 2 else text + "\n" + ("=" if level == 1 else "-") * len(text)


def markdown_heading(level, text):
    return "#" * level + " " + text


def failures(results):
    """What was asked for and has no figure."""
    return [*results["left_out"]] + [f"{name} ({part}) on {where}" for where, place in results["places"].items() for part, name, _ in errors(place)]


def write(results, folder):
    os.makedirs(folder, exist_ok=True)
    drawn = plot.write(results, folder)
    text = document(results, text_heading, text_table)
    pictures = "".join(f"\n![{name}]({name})\n" for name in drawn)
    for name, content in (("table.txt", text), ("table.md", document(results, markdown_heading, markdown_table) + pictures),
                          ("samples.json", json.dumps(results, indent=1))):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(content + "\n")
    print(text)
    print(f"written to {folder}")
