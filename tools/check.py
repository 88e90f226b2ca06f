#!/usr/bin/env python3
"""Everything that `make check` does: builds (gcc; clang with sanitizers), unit tests plain and sanitized, system
tests, and lint beside them. Ends with one line, "N passed, N failed, N skipped"."""
import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as tree
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
JOBS = str(os.cpu_count() or 2)


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped=0):
        self.passed, self.failed, self.skipped = self.passed + passed, self.failed + failed, self.skipped + skipped

    def step(self, name, passed, failed, skipped, seconds):
        self.add(passed, failed, skipped)
        print(f"{'FAILED' if failed else 'ok':6}  {name}: {passed} passed, {failed} failed, {skipped} skipped ({seconds:.0f} s)",
              flush=True)


def run(argv, **options):
    return subprocess.run(argv, cwd=ROOT, text=True, **options)


def build(name, options, environment=None):
    """One build directory; its whole output only when it fails."""
    directory = os.path.join(BUILD, name)
    env = dict(os.environ, **(environment or {}))
    commands = [["ninja", "-C", directory, "-j", JOBS]]
    if not os.path.exists(os.path.join(directory, "build.ninja")):
        commands.insert(0, ["meson", "setup", directory] + options)
    for argv in commands:
        done = run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            print(done.stdout[-8000:])
            return False
    return True


def junit_counts(path):
    """Counts and the names of failures of a JUnit file."""
    passed = failed = skipped = 0
    names = []
    if not os.path.exists(path):
        return 0, 1, 0, ["no report was written"]
    for case in tree.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            names.append(f"{case.get('classname')}: {case.get('name')}")
        elif case.find("skipped") is not None:
            skipped += 1
            names.append(f"skipped: {case.get('name')}: {case.find('skipped').get('message', '')}")
        else:
            passed += 1
    return passed, failed, skipped, names


def meson_tests(tally, title, name):
    start = time.time()
    directory = os.path.join(BUILD, name)
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=0",
               UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
    done = run(["meson", "test", "-C", directory, "--print-errorlogs", "--no-rebuild"], env=env, stdout=subprocess.PIPE,
               stderr=subprocess.STDOUT)
    passed, failed, skipped, names = junit_counts(os.path.join(directory, "meson-logs/testlog.junit.xml"))
    if done.returncode != 0:
        failed = max(failed, 1)
        print(done.stdout[-12000:])
    tally.step(title, passed, failed, skipped, time.time() - start)


def build_step(tally, title, name, options, environment=None):
    start = time.time()
    good = build(name, options, environment)
    tally.step(title, int(good), int(not good), 0, time.time() - start)
    return good


def start_lint():
    """In the time that the system tests leave idle, which is much: (process, start)."""
    argv = ["chrt", "--idle", "0", "tools/lint.py"]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True), time.time()


def lint_step(tally, process, start):
    lines = process.communicate()[0].strip().split("\n")
    words = lines[-1].split()
    print("\n".join(lines[:-1]))
    if len(words) == 4 and words[1] == "passed,":
        tally.step("lint", int(words[0]), int(words[2]), 0, time.time() - start)
    else:
        tally.step("lint", 0, 1, 0, time.time() - start)


# The shared objects of the tests leave what the sanitizers' runtime has undefined.
SANITIZED = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"]

# Many tests wait for time to pass more than they work, so three lanes of them run at once. "roots" has those that live in root file
# systems and networks of their own; what is in no lane runs in the third.
LANES = {
    "roots": ["tests/compat", *(f"tests/system/test_{name}.py" for name in
              ("package", "peers", "peers_extensions", "private_root", "programs_content_filter", "programs_filters", "programs_lists",
               "programs_mailman", "programs_replies", "root", "submitters"))],
    "beside": [f"tests/system/test_{name}.py" for name in
               ("cleanup_parameters", "client_parameters", "clog", "delivery", "dialogue", "faults", "handover", "hostile_aliases",
                "hostile_mailbox", "hostile_submit", "lmtp", "lmtp_limits", "lmtp_storm", "mailbox", "many_maildirs", "master", "model",
                "parameters", "private_connections", "relay", "reports", "routing", "rows", "scheduler", "sendmail_options",
                "stand_alone", "table_files", "verify", "verify_parameters")],
}


def lanes():
    """(name, arguments of pytest)"""
    rest = [f"--ignore={path}" for paths in LANES.values() for path in paths]
    return [*LANES.items(), ("rest", ["tests/system", *rest])]


def start_pytest(soak, report, arguments):
    if os.path.exists(report):
        os.remove(report)
    return subprocess.Popen(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "soak" if soak else "not soak",
                             "--junitxml", report, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def system_step(tally, soak):
    start = time.time()
    parts = []
    for name, arguments in lanes():
        report = os.path.join(BUILD, f"system-tests-{name}.xml")
        parts.append((report, start_pytest(soak, report, arguments)))
    with ThreadPoolExecutor(len(parts)) as pool:  # all are read while they run: a full pipe would stop one
        said = list(pool.map(lambda part: part[1].communicate()[0], parts))
    counts = [0, 0, 0]
    for (report, process), text in zip(parts, said):
        passed, failed, skipped, names = junit_counts(report)
        if process.returncode not in (0, 5):
            failed = max(failed, 1)
            print(text[-20000:])
        for name in names:
            print("  " + name)
        counts = [sum(pair) for pair in zip(counts, (passed, failed, skipped))]
    tally.step("system tests", *counts, time.time() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--soak", action="store_true", help="build with gcc, and only the long system tests")
    soak = parser.parse_args().soak
    tally = Tally()
    good = build_step(tally, "build with gcc", "meson", [])
    if good:
        good = run(["tools/link_programs.sh", "build/meson", "build"]).returncode == 0
    if good and not soak:
        meson_tests(tally, "unit tests", "meson")
        if build_step(tally, "build with clang and its sanitizers", "sanitized", SANITIZED, {"CC": "clang-14"}):
            meson_tests(tally, "unit tests, sanitized", "sanitized")
    lint = start_lint() if good and not soak else None
    if good:
        system_step(tally, soak)
    if lint:
        lint_step(tally, *lint)
    print(f"{tally.passed} passed, {tally.failed} failed" + (f", {tally.skipped} skipped" if tally.skipped else ""))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
