#!/usr/bin/python3
"""Instructions in user space that a message costs each of our programs, counted by Valgrind: nearly the same at each run, whatever
else the machine does, so that a change of one percent shows. System calls count nothing here, and memory's speed neither.

    bench/instructions.py discard-20 smtpd cleanup qmgr discard
    bench/instructions.py connect-20 smtpd --main 'smtpd_peername_lookup = yes'

One program at a time runs under callgrind, in the private root of the suite; the figure is the difference between a long and a short
load, so that starting up is not in it. The profiles of the long load stay in build/bench/callgrind/PROGRAM, for callgrind_annotate. Our
functions switch stacks (fibers): costs of a function alone are right, those with all that it calls only within one fiber.
"""
import argparse
import glob
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import contestants  # noqa: E402
import measure  # noqa: E402
from loads import LOADS, Generator  # noqa: E402
from places import WORK, Plain  # noqa: E402

SHORT, LONG = 500, 2500
PROGRAMS = "/usr/lib/postfix/sbin"
# As a process is jailed in the queue directory or not; made by root, written to by whom it became.
FOLDERS = "/callgrind /var/spool/postfix/callgrind"
WRAPPER = f"""#!/bin/sh
exec valgrind --tool=callgrind --callgrind-out-file=/callgrind/%p --log-file=/var/log/valgrind.%p "{PROGRAMS}/$(basename "$0").real" "$@"
"""


def wrap(server, program):
    server.root.run(f"cd {PROGRAMS} && mv {program} {program}.real && mkdir {FOLDERS} && chmod 777 {FOLDERS} /var/log")
    server.root.run(["tee", f"{PROGRAMS}/{program}"], input=WRAPPER)
    server.root.run(f"chmod 755 {PROGRAMS}/{program}")


def run(program, load, count, place, generator, main):
    """Instructions of all processes of the program while `count` messages pass; the profiles replace those of an earlier run."""
    server = contestants.Posthouse(place, generator.sink_port, main)
    try:
        wrap(server, program)
        server.start()
        measure.sample(server, generator, load, count)
        server.root.run(f"find {FOLDERS} -type f -exec chmod 666 {{}} +")
        server.root.run([*server.postfix, "stop"])
        server.root.run(f"find {FOLDERS} -type f -size +0 -exec cp {{}} /var/log/ ';'; rm -r {FOLDERS}")
        folder = f"{WORK}/callgrind/{program}"
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        total = 0
        for profile in glob.glob(f"{server.folders['log']}/[0-9]*"):
            shutil.copy(profile, folder)
            with open(profile, encoding="utf-8") as file:
                total += int(re.search(r"^totals: (\d+)", file.read(), re.M)[1])
        if total == 0:
            raise AssertionError(f"no profile of {program}: is it on the way of {load.name}?")
        return total
    finally:
        server.root.run([*server.postfix, "stop"], check=False)
        server.destroy()
        place.remove(server.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("load", choices=list(LOADS))
    parser.add_argument("program", nargs="+")
    parser.add_argument("--main", action="append", default=[], metavar="LINE", help="a line for main.cf")
    options = parser.parse_args()
    place, generator = Plain(), Generator()
    place.prepare()
    try:
        for program in options.program:
            short, long = (run(program, LOADS[options.load], count, place, generator, options.main) for count in (SHORT, LONG))
            print(f"{options.load} {program}: {(long - short) / (LONG - SHORT):.0f} instructions a message", flush=True)
    finally:
        place.destroy()
        generator.destroy()


if __name__ == "__main__":
    main()
