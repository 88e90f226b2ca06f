#!/usr/bin/python3
"""Messages per second, receive to discard, beside Debian's Postfix in the same minutes.

    tools/bench.py [--pairs N] [--messages N] [--sessions N] [--size BYTES]

Both run in turn (A B A B ...) on the same file system: same load (smtp-source, kept connections), same limits, logs to
a file. Postfix is Debian's package in a private root (an overlay in a mount namespace, so root is needed); the machine's own
files are not touched. Prints each run, medians and the ratio: figures of different runs are not comparable.
"""
import argparse
import os
import shutil
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))
from instance import Instance, wait_until  # noqa: E402
from reference import Reference  # noqa: E402

WORK = os.path.join(ROOT, "build/bench")

LINES = ["transport_maps = inline:{discard.test=discard:silently}", "smtpd_peername_lookup = no"]


class Postfix(Reference):
    """Its queue and log are on the disk that ours uses."""

    def __init__(self):
        for part in ("queue", "log"):
            shutil.rmtree(f"{WORK}/{part}", ignore_errors=True)
            os.makedirs(f"{WORK}/{part}")
        super().__init__(network=False, binds=[(f"{WORK}/queue", "/var/spool/postfix"), (f"{WORK}/log", "/var/log")])
        self.configure(LINES)


class Ours(Instance):
    name = "posthouse"

    def __init__(self):
        shutil.rmtree(f"{WORK}/ours", ignore_errors=True)
        super().__init__(f"{WORK}/ours")
        self.configure(LINES)


def removed(server):
    return server.log().count(": removed\n")


def measure(server, source, options):
    """Messages per second until the last one is gone from the queue. `source` is the private root that has smtp-source."""
    before = removed(server)
    start = time.monotonic()
    source.run(["smtp-source", "-s", str(options.sessions), "-m", str(options.messages), "-l", str(options.size), "-d", "-f",
                    "a@bench.example", "-t", "x@discard.test", f"127.0.0.1:{server.port}"], timeout=300)
    wait_until(lambda: removed(server) - before >= options.messages, 120, "all messages to be discarded")
    return options.messages / (time.monotonic() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--size", type=int, default=4096)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the reference needs a private root: run as root")
    os.makedirs(WORK, exist_ok=True)
    rates = {"postfix": [], "posthouse": []}
    load = Reference(network=False)
    print(f"reference: Postfix {load.version}")
    for pair in range(options.pairs + 1):
        for kind in (Postfix, Ours):
            server = kind()
            try:
                server.start()
                measure(server, load.root, argparse.Namespace(**{**vars(options), "messages": 200}))
                rate = measure(server, load.root, options)
                server.stop()
            finally:
                server.destroy()
            if pair > 0:
                rates[kind.name].append(rate)
                print(f"{kind.name:10} {rate:8.0f} messages/s", flush=True)
    load.destroy()
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{options.sessions} sessions, {options.size} bytes, receive to discard, {os.cpu_count()} cores, each message synced: "
          f"median Postfix {medians['postfix']:.0f}, Posthouse {medians['posthouse']:.0f}, ratio {medians['posthouse'] / medians['postfix']:.1f}")


if __name__ == "__main__":
    main()
