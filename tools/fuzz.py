#!/usr/bin/env python3
"""Runs every fuzz target for some seconds under ASan and UBSan.

Corpora grow under build/fuzz-corpus/; a finding is left in build/fuzz-findings/ and fails the run.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DIRECTORY = os.path.join(ROOT, "build/fuzz")


def build():
    if not os.path.exists(os.path.join(DIRECTORY, "build.ninja")):
        subprocess.run(["meson", "setup", DIRECTORY, "-Dfuzz=true", "-Doptimization=1"], cwd=ROOT, check=True,
                       env=dict(os.environ, CC="clang-14"), stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", DIRECTORY], check=True, stdout=subprocess.DEVNULL)
    return sorted(name[:-5] for name in os.listdir(DIRECTORY) if name.endswith("_fuzz"))


def fuzz(target, seconds):
    """(target, executions, finding or None)"""
    grown = os.path.join(ROOT, "build/fuzz-corpus", target)
    findings = os.path.join(ROOT, "build/fuzz-findings", target + "-")
    seeds = os.path.join(ROOT, "tests/corpus", target)
    os.makedirs(grown, exist_ok=True)
    os.makedirs(os.path.dirname(findings), exist_ok=True)
    argv = [os.path.join(DIRECTORY, target + "_fuzz"), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
            "-print_final_stats=1", f"-artifact_prefix={findings}", "-max_len=65536",
            "-close_fd_mask=2",  # what our code logs would fill the memory; reports of the sanitizers come through
            grown]
    if os.path.isdir(seeds):
        argv.append(seeds)
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace")
    executions = re.search(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    return target, executions.group(1) if executions else "?", None if done.returncode == 0 else done.stderr[-3000:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=int, nargs="?", default=300, help="for each target (%(default)s)")
    parser.add_argument("targets", metavar="target", nargs="*", help="only these, as in tests/corpus")
    arguments = parser.parse_args()
    seconds, targets = arguments.seconds, build()
    unknown = set(arguments.targets) - set(targets)
    if unknown:
        parser.error(f"no such target: {' '.join(sorted(unknown))}")
    if arguments.targets:
        targets = arguments.targets
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for target, executions, finding in pool.map(lambda t: fuzz(t, seconds), targets):
            print(f"{'ok' if finding is None else 'FAILED':6}  fuzz {target}: {executions} inputs in {seconds} s", flush=True)
            if finding is not None:
                failed += 1
                print(finding)
    print(f"{len(targets) - failed} passed, {failed} failed")
    return 1 if failed or not targets else 0


if __name__ == "__main__":
    sys.exit(main())
