#!/usr/bin/env python3
"""Lint: format, layers, sizes, banned habits, and clang-tidy. Prints one line a check and a count."""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINES_HARD, FUNCTION_HARD, HEADER_HABIT = 800, 80, 120

# An arrow is "may include"; arrows are transitive. Programs may include everything but each other.
LAYERS = {
    "base": [],
    "run": ["base"],
    "net": ["run"],
    "dns": ["net"],
    "tls": ["net"],
    "conf": ["base"],
    "ipc": ["run"],
    "table": ["ipc", "conf", "net"],
    "mail": ["table"],
    "queue": ["mail"],
    "message": ["ipc", "mail"],
    "client": ["message", "queue"],
    "smtp_wire": ["mail"],
    "deliver": ["client"],
    "service": ["client"],
    "control": ["service"],
}


def sources():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "src", "tests/unit"], cwd=ROOT,
                         capture_output=True, text=True, check=True).stdout.split()
    return [p for p in out if p.endswith((".c", ".h")) and os.path.exists(os.path.join(ROOT, p))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def reachable(layer):
    seen, todo = {layer}, [layer]
    while todo:
        for below in LAYERS[todo.pop()]:
            if below not in seen:
                seen.add(below)
                todo.append(below)
    return seen


def check_layers(paths):
    """A file includes only its own layer and those below it; libuv stays inside src/run."""
    problems = []
    for path in paths:
        parts = path.split("/")
        if parts[0] != "src":
            continue
        own = parts[1]
        allowed = reachable(own) if own in LAYERS else set(LAYERS) | {own}
        for included in re.findall(r'^#include "([^"]+)"', read(path), re.M):
            folder = included.split("/")[0]
            if "/" in included and folder not in allowed:
                problems.append(f"{path}: includes {included}")
        if own != "run" and re.search(r"^#include <uv\.h>", read(path), re.M):
            problems.append(f"{path}: libuv is hidden in src/run")
    return problems


def functions(text):
    """(name, lines) of each function, by the brace in column 0."""
    lines = text.split("\n")
    start = name = None
    for number, line in enumerate(lines):
        if line == "{" and start is None:
            head = "\n".join(lines[max(0, number - 4):number])
            found = re.findall(r"(?:TEST\()?(\w+)\s*[(\n)]", head.split(";")[-1].split("}")[-1])
            found = [word for word in found if word != "TEST"]
            start, name = number, found[0] if found else "?"
        elif line.startswith("}") and start is not None:
            yield name, number - start + 1
            start = None


def check_sizes(paths):
    problems, longest_file, longest_function = [], (0, ""), (0, "")
    for path in paths:
        text = read(path)
        count = text.count("\n")
        longest_file = max(longest_file, (count, path))
        if count > LINES_HARD:
            problems.append(f"{path}: {count} lines, the limit is {LINES_HARD}")
        if path.endswith(".c"):
            for name, length in functions(text):
                longest_function = max(longest_function, (length, f"{path}: {name}"))
                if length > FUNCTION_HARD:
                    problems.append(f"{path}: {name} has {length} lines, the limit is {FUNCTION_HARD}")
    print(f"  longest file: {longest_file[1]} ({longest_file[0]} lines)")
    print(f"  longest function: {longest_function[1]} ({longest_function[0]} lines)")
    return problems


def check_format(paths):
    out = subprocess.run(["clang-format-14", "--dry-run", "-Werror"] + paths, cwd=ROOT, capture_output=True, text=True)
    return sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", out.stderr, re.M)))


def check_habits(paths):
    problems = []
    for path in paths:
        text = read(path)
        own = path[len("src/"):-2] + ".h"
        includes = re.findall(r'^#include (\S+)', text, re.M)
        if path.endswith(".c") and path.startswith("src/") and os.path.exists(os.path.join(ROOT, "src", own)):
            if not includes or includes[0].strip('"') != own:
                problems.append(f"{path}: its own header must come first")
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                problems.append(f"{path}:{number}: admits unfinished work")
            if re.search(r"\btypedef struct\b", line):
                problems.append(f"{path}:{number}: typedef of a struct")
    return problems


def check_parameters(_paths):
    """Every honoured parameter names a test that is there."""
    files = sorted(glob.glob(os.path.join(ROOT, "params/[a-z]*.md")))
    done = subprocess.run([sys.executable, "tools/params.py", "--check-tests", ROOT] + files, cwd=ROOT, capture_output=True, text=True)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().split("\n")


def tidy(path):
    """What clang-tidy says of one file. That it gave up in the middle counts too: then nothing is known of the file."""
    build = os.path.join(ROOT, "build/meson")
    # The commands are gcc's.
    out = subprocess.run(["clang-tidy-14", "--quiet", "--extra-arg=-Wno-ignored-optimization-argument", "-p", build, os.path.join(ROOT, path)], capture_output=True, text=True)
    problems = [line.replace(ROOT + "/", "") for line in out.stdout.split("\n") if re.search(r"(error|warning): ", line)]
    if out.returncode < 0 or (out.returncode != 0 and not problems):
        where = out.stderr.strip().split("\n")[0]
        problems.append(f"{path}: clang-tidy came to no end (status {out.returncode}): {where}")
    return problems


def check_tidy(paths):
    jobs = os.cpu_count() or 2
    files = [p for p in paths if p.endswith(".c") and p.startswith("src/") and not p.endswith(("_test.c", "_fuzz.c"))]
    files = [p for p in files if os.path.basename(p) in read_commands()]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return [line for lines in pool.map(tidy, files) for line in lines]


def read_commands():
    path = os.path.join(ROOT, "build/meson/compile_commands.json")
    with open(path, encoding="utf-8") as file:
        return set(os.path.basename(name) for name in re.findall(r'"file": "([^"]+)"', file.read()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-tidy", action="store_true", help="without clang-tidy, which takes minutes")
    arguments = parser.parse_args()
    paths = sources()
    checks = [("layers", check_layers), ("sizes", check_sizes), ("format", check_format), ("habits", check_habits), ("parameters", check_parameters)]
    if not arguments.no_tidy:
        checks.append(("clang-tidy", check_tidy))
    failed = 0
    for name, check in checks:
        problems = check(paths)
        print(("ok      " if not problems else "FAILED  ") + f"lint {name}")
        for line in problems[:50]:
            print("  " + line)
        failed += bool(problems)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
