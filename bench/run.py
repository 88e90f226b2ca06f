#!/usr/bin/python3
"""The benchmark suite: Debian's Postfix and ours in turn, on the same file systems, with the same configuration.

    bench/run.py                                     everything (an hour or more); `make bench` does this
    bench/run.py --load discard-20 --on plain        a part; --load may come several times, `--load list` names them
    bench/run.py --load relay-20 --pairs 9 --seconds 5 --sessions 50

See doc/benchmarks.md for what is measured and how. Results go to bench/results/DATE-PLACE/: table.txt, table.md, samples.json and
plots. Needs root: the contestants live in private roots (overlays in mount namespaces), the machine's own files are not touched.
"""
import argparse
import dataclasses
import fcntl
import os
import subprocess
import sys
import time

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import account  # noqa: E402
import backlog  # noqa: E402
import contestants  # noqa: E402
import latency  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402
from loads import LOADS, Generator  # noqa: E402
from places import PLACES, ROOT, WORK  # noqa: E402

STARTED = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - STARTED:6.0f} s] {text}", flush=True)


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", action="append", choices=list(PLACES), help="plain, ext4 (default: both)")
    parser.add_argument("--load", action="append", help="name of a load (default: all); `list` names them")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="what to do (default: all, or rates if --load is given)")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="length of a sample")
    parser.add_argument("--sessions", type=int, help="instead of the load's own")
    parser.add_argument("--size", type=int, help="bytes, instead of the load's own")
    parser.add_argument("--main", action="append", default=[], metavar="LINE", help="a line for both main.cf")
    parser.add_argument("--ours", action="append", default=[], metavar="LINE", help="a line for our main.cf alone; it is printed as a difference")
    parser.add_argument("--deferred", action="append", type=int, help="deferred messages of part backlogs, the first for comparison (default: 0, 20000, 200000)")
    parser.add_argument("--output", help="folder of the results")
    parser.add_argument("--note", default="", help="said at the top of the results")
    options = parser.parse_args(arguments)
    if options.load == ["list"]:
        for load in LOADS.values():
            print(f"{load.name:14} {load.title}")
        sys.exit(0)
    options.part = options.part or (["rates"] if options.load else list(PARTS))
    return options


def chosen_loads(options):
    loads = [LOADS[name] for name in options.load or LOADS]
    changes = {name: getattr(options, name) for name in ("sessions", "size") if getattr(options, name)}
    return [dataclasses.replace(load, **changes) for load in loads]


def guarded(results, name, work):
    """The result of work() under its name, or why there is none: the rest of a long run goes on."""
    try:
        results[name] = work()
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        results[name] = {"error": str(error)}
        say(f"{name}: NO FIGURE: {error}")


# Each part fills `results`, which lie under its name in those of the place.

def rates(_place, servers, generator, options, results):
    """{load: its samples and their summary}"""
    for load in chosen_loads(options):
        def work(load=load):
            samples = measure.pairs(servers, generator, load, options.pairs, options.seconds, say)
            summary = measure.summary(samples, [server.name for server in servers])
            say(f"{load.name}: ratio {summary['ratio']['median']:.2f}")
            return {"title": load.title, "unit": load.unit, "goal": load.goal, "samples": samples, "summary": summary}
        guarded(results, load.name, work)


def accounts(_place, servers, generator, options, results):
    """{load: {contestant: costs by process}}"""
    for load in chosen_loads(options):
        if load.account:
            guarded(results, load.name, lambda: {server.name: account.account(server, generator, load, options.seconds, say) for server in servers})


def backlogs(place, _servers, generator, options, results):
    """{contestant: {number of deferred messages: figures}}"""
    for kind in contestants.CONTESTANTS:
        guarded(results, kind.name, lambda: backlog.backlog(kind, place, generator, options, options.main + own_lines(kind, options), say))


def latencies(_place, servers, generator, options, results):
    """{"250": the cases}"""
    guarded(results, "250", lambda: latency.latency(servers, generator, options.seconds, say))


PARTS = {"rates": rates, "accounts": accounts, "latencies": latencies, "backlogs": backlogs}


def own_lines(kind, options):
    return options.ours if kind is contestants.Posthouse else []


def start_all(place, generator, options):
    servers = []
    try:
        for kind in contestants.CONTESTANTS:
            servers.append(kind(place, generator.sink_port, options.main + own_lines(kind, options)))
            servers[-1].start()
    except BaseException:
        destroy_all(servers)
        raise
    return servers


def destroy_all(servers):
    for server in servers:
        server.root.run([*server.postfix, "stop"], check=False)
        server.destroy()


def run_place(place, found, generator, options):
    """Into `found` as it comes: what stands is kept when something later fails."""
    say(f"place {place.name}: {place.title}")
    try:
        place.prepare()
        servers = start_all(place, generator, options)
        try:
            found.update(report.facts(place, servers))
            one = dataclasses.replace(LOADS["discard-20"], sessions=1)
            for server, fact in zip(servers, found["contestants"]):
                fact["syncs"] = account.show_durable(server, generator, one)
            for part in options.part:
                PARTS[part](place, servers, generator, options, found.setdefault(part, {}))
        finally:
            destroy_all(servers)
    finally:
        place.destroy()


def only_one():
    """Two runs at a time would measure each other; gives the lock, which dies with the process."""
    os.makedirs(WORK, exist_ok=True)
    lock = open(f"{WORK}/lock", "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another run of the suite is under way")
    return lock


def run_all(generator, options, results):
    for name in options.on or PLACES:
        reason = PLACES[name].why_not()
        if reason:
            results["left_out"][name] = reason
            say(f"place {name} is left out: {reason}")
        else:
            run_place(PLACES[name](), results["places"].setdefault(name, {}), generator, options)


def finish(results, options):
    folder = options.output or f"{ROOT}/bench/results/{time.strftime('%Y-%m-%d-%H%M')}-{'-'.join(results['places'])}"
    results["places"] = {name: place for name, place in results["places"].items() if place}
    report.write(results, folder)
    failed = report.failures(results)
    if failed:
        sys.exit("no figure for: " + ", ".join(failed))


def main():
    options = options_of(sys.argv[1:])
    if os.geteuid() != 0:
        sys.exit("the contestants need private roots: run as root")
    lock = only_one()
    try:
        generator = Generator()
    except pytest.skip.Exception as reason:  # what a test would be skipped for
        sys.exit(str(reason))
    results = report.machine(generator, options)
    try:
        run_all(generator, options, results)
    finally:
        generator.destroy()
        lock.close()
        finish(results, options)


if __name__ == "__main__":
    main()
