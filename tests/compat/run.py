#!/usr/bin/python3
"""Debian's Postfix and ours told the same, and compared: dialogues (dialogue/README.md) and scenarios (scenario/README.md).

    tests/compat/run.py [-v] [-j PAIRS] [WORD ...]     those whose name contains a word; -v shows what was compared
"""
import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
import dialogues  # noqa: E402
import scenarios  # noqa: E402
from reference import Ours, Reference  # noqa: E402
from scenario_file import ASPECTS, scenarios as all_scenarios  # noqa: E402


def run_dialogues(words, verbose):
    """How many groups were run, and how many of them differ."""
    all_groups, chosen = dialogues.groups(words)
    servers, failed = [], 0
    try:
        for kind in (Reference, Ours) if chosen else ():
            servers.append(dialogues.start(kind, all_groups))
        for group in chosen:
            heard, differences = dialogues.compare(servers, all_groups, group)
            failed += bool(differences)
            print(f"{'FAILED' if differences else 'ok':6} dialogue {group.name}: {len(heard)} exchanges, {len(differences)} different")
            for number, said, reply in heard if verbose else ():
                print(f"  {number}: {said[:100]}\n      {reply[:300]!r}")
            for number, said, theirs, ours in differences:
                print(f"  line {number}: {said[:100]}\n    Postfix {theirs[:400]!r}\n    ours    {ours[:400]!r}")
    finally:
        for server in servers:
            server.destroy()
    return len(chosen), failed


def run_scenarios(words, verbose, jobs):
    chosen, failed = all_scenarios(words), 0
    if not chosen:
        return 0, 0
    runner = scenarios.Runner(min(jobs, len(chosen)))
    try:
        for scenario, both in runner.each(chosen):
            wrong = [repr(both)] if isinstance(both, Exception) else scenarios.differences(scenario, both)
            failed += bool(wrong)
            print(f"{'FAILED' if wrong else 'ok':6} {scenario.name}: {scenario.title}", flush=True)
            for aspect in ASPECTS if verbose and isinstance(both, list) else ():
                print(f"  == {aspect} (Postfix) ==\n    " + both[0][aspect].replace("\n", "\n    "))
            print("".join(f"    {line}\n" for line in wrong), end="")
    finally:
        runner.destroy()
    return len(chosen), failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", action="store_true")
    parser.add_argument("-j", type=int, default=2, help="pairs of private roots that work at once")
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    start = time.monotonic()
    done = [run_dialogues(arguments.words, arguments.v), run_scenarios(arguments.words, arguments.v, arguments.j)]
    run, failed = (sum(pair) for pair in zip(*done))
    print(f"{run - failed} passed, {failed} failed in {time.monotonic() - start:.0f} s")
    return 1 if failed or not run else 0


if __name__ == "__main__":
    sys.exit(main())
