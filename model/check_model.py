#!/usr/bin/env python3
"""Checks the model of the queue with spin, exhaustively.

    check_model.py [MACRO ...]      bounds (NAME=number) and faults (README.md); with a fault it must fail
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def check(*macros, memory=2000):
    """(errors, states, depth) of the exhaustive search."""
    with tempfile.TemporaryDirectory() as directory:
        options = [f"-D{macro}" for macro in macros]
        for argv in (["spin", *options, "-a", os.path.join(HERE, "queue.pml")],
                     ["cc", "-O2", "-w", "-DSAFETY", "-DVECTORSZ=1024", "-DCOLLAPSE", f"-DMEMLIM={memory}", "-o", "pan", "pan.c"],
                     ["./pan", "-m100000", "-w22"]):
            done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = re.search(r"depth reached (\d+), errors: (\d+)\s+(\d+) states, stored", done.stdout)
    if found is None or "max search depth too small" in done.stdout or "out of memory" in done.stdout:
        raise RuntimeError(done.stdout[-3000:])
    return int(found[2]), int(found[3]), int(found[1])


def main():
    if shutil.which("spin") is None:
        print("skipped: spin is not installed")
        return 0
    errors, states, depth = check(*sys.argv[1:])
    print(f"{errors} errors, {states} states, depth {depth}")
    faulty = any("=" not in macro for macro in sys.argv[1:])
    return 1 if bool(errors) != faulty else 0


if __name__ == "__main__":
    sys.exit(main())
