"""Programs with one thing taken out, each of which the explorer must catch.

A sync is taken out of the record: to the disk it is as if the program had not asked. Other steps are taken out of a program: the patches
beside this file, applied to a copy of a source file, with which that one program is linked again."""
import collections
import glob
import os
import random
import re
import shlex
import shutil
import subprocess

import cycle
from explorer import ORDERED, RECOVER, Explorer

ROOT = cycle.instance.ROOT
MESON = os.path.join(ROOT, "build/meson")
HERE = os.path.dirname(os.path.abspath(__file__))

# `record`: of which cycle (cycle, ordered, engine). `drop`: (program, how, pattern of the path) of the sync.
Dropped = collections.namedtuple("Dropped", "name record drop models")
REDUCED, LOGGED = ("reduced", True, "log"), ("logged", False, "log")
DROPPED = [
    Dropped("the sync of a batch of the log", REDUCED, ("cleanup", "data", r"commit/\d+\.log"), ORDERED),
    Dropped("the sync of notes", REDUCED, ("qmgr", "data", r"commit/\d+\.log"), ORDERED),
    Dropped("the sync of a queue file", REDUCED, ("cleanup", "file", r"incoming/\w+"), ORDERED),
    Dropped("the sync of a held queue file", REDUCED, ("cleanup", "file", r"hold/.*"), ORDERED),
    Dropped("the sync of the queue before a checkpoint", REDUCED, ("cleanup|qmgr", "system", r"commit"), ORDERED),
    Dropped("the sync of a deferred message with marks", REDUCED, ("qmgr", "file", r"(active|incoming|commit/slots/\d+)/\w+"), ORDERED),
    Dropped("the sync of the queue before recovery forgets", REDUCED, ("recover", "system", r"commit"), ORDERED),
    Dropped("the sync of segments that recovery gives up", REDUCED, ("recover", "data", r"commit/\d+\.log"), ORDERED),
    Dropped("the sync of the directory of segments", LOGGED, ("cleanup|qmgr", "file", r"commit"), ("unordered",)),
    Dropped("the sync of the directory of a queue", ("short", False, "file"), ("cleanup", "file", r"incoming"), ("unordered",)),
]


def dropper(program, how, path):
    return lambda op: (op.kind.startswith("SYNC") and op.mode == how and re.fullmatch(program, op.program) is not None and
                       re.fullmatch(path, op.path) is not None)


def explore_without(operations, mutation):
    """[Found], the first. Only states that the whole program cannot leave are looked at."""
    drop = dropper(*mutation.drop)
    assert any(drop(op) for op in operations), f"{mutation.name}: there is no such sync"
    usual = Explorer(operations, mutation.models)
    explorer = Explorer(operations, mutation.models, drop)
    explorer.states = in_part(explorer, [state for state in explorer.states if usual.asked.get(state) != explorer.asked[state]], None)
    return explorer.explore(stop_at=1)


def in_part(explorer, states, count):
    """Those to which most and least has got through at each moment, and others by chance."""
    first = {state for _, state in explorer.extremes.values()}
    rest = [state for state in states if state not in first]
    random.Random(1).shuffle(rest)
    return [state for state in states if state in first] + rest[:count]


def explore_with(operations, recover, count=None, models=ORDERED):
    """[Found], the first, with another recovery."""
    explorer = Explorer(operations, models, recover=recover)
    explorer.states = in_part(explorer, explorer.states, count)
    return explorer.explore(stop_at=1)


# --- programs built anew ---

def patched_source(patch, directory):
    """(path in the tree, patched copy)."""
    with open(patch, encoding="utf-8") as file:
        path = re.search(r"^\+\+\+ b/(\S+)", file.read(), re.M)[1]
    copy = os.path.join(directory, os.path.basename(path))
    shutil.copy(os.path.join(ROOT, path), copy)
    subprocess.run(["patch", "-s", "--no-backup-if-mismatch", copy, patch], check=True, capture_output=True)
    return path, copy


def commands_of(target):
    done = subprocess.run(["ninja", "-C", MESON, "-t", "commands", target], check=True, capture_output=True, text=True)
    return [shlex.split(line) for line in done.stdout.split("\n") if line.startswith(("cc ", "clang", "gcc "))]


def build(patch, program, directory):
    """The program with the patch in it; everything else as it was built."""
    path, copy = patched_source(patch, directory)
    commands = commands_of(f"src/{program}/{program}")
    compile_it = next(words for words in commands if words[-1].endswith(path) and "-c" in words)
    link = commands[-1]
    made, out = f"{directory}/{os.path.basename(path)}.o", f"{directory}/{program}"
    include = os.path.dirname(os.path.join(ROOT, path))
    words = compile_it[:-1] + [f"-I{include}", copy]
    words[words.index("-o") + 1] = made
    subprocess.run(words, cwd=MESON, check=True, capture_output=True)
    words = list(link)
    words[words.index("-o") + 1] = out
    # Before the libraries: what it defines is not looked for there.
    words.insert(words.index("-Wl,--start-group"), made)
    subprocess.run(words, cwd=MESON, check=True, capture_output=True)
    return out


def programs_with(patch, program, directory):
    """A folder with bin and libexec, as build has them, and this program built anew. Hard links: what a program is, it tells by its path."""
    for folder in ("bin", "libexec"):
        os.mkdir(f"{directory}/{folder}")
        for path in glob.glob(f"{ROOT}/build/{folder}/*"):
            os.link(path, f"{directory}/{folder}/{os.path.basename(path)}")
    os.unlink(f"{directory}/libexec/{program}")
    build(patch, program, f"{directory}/libexec")
    return directory


def patches(program):
    return sorted(os.path.basename(path) for path in glob.glob(f"{HERE}/mutations/{program}_*.patch"))


def patch_path(name):
    return os.path.join(HERE, "mutations", name)
