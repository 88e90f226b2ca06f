"""Runs scenarios on pairs of sides, and compares."""
import difflib
import queue
import re
from concurrent.futures import ThreadPoolExecutor

from reference import Ours, Reference
from scenario_file import ASPECTS
from scenario_side import Side


class Pair:
    """Debian's Postfix and ours, side by side."""

    def __init__(self):
        self.pool = ThreadPoolExecutor(2)
        self.sides = []
        try:
            for kind in (Reference, Ours):
                self.sides.append(Side(kind))
        except BaseException:
            self.destroy()
            raise

    def perform(self, scenario):
        """What each side did, as {aspect: text}: Postfix, ours."""
        return list(self.pool.map(lambda side: side.perform(scenario), self.sides))

    def destroy(self):
        for side in self.sides:
            side.destroy()
        self.pool.shutdown()


def kept_lines(scenario, aspect, text):
    patterns = [re.compile(pattern) for which, pattern in scenario.ignored if which == aspect]
    return [line.rstrip() for line in text.splitlines() if not any(pattern.search(line) for pattern in patterns)]


def changes(theirs, ours):
    """Lines that only one side has, as "-" and "+" lines."""
    return [line.rstrip() for line in difflib.unified_diff(theirs, ours, n=0, lineterm="") if not re.match(r"(---|\+\+\+|@@) ?", line)]


def differences(scenario, both):
    """What a person reads of each aspect that is not as it should be; empty when all is well."""
    found = []
    for aspect in ASPECTS:
        if aspect not in scenario.aspects:
            continue
        theirs, ours = (kept_lines(scenario, aspect, side[aspect]) for side in both)
        wanted, have = scenario.differs.get(aspect, []), changes(theirs, ours)
        if sorted(wanted) == sorted(have):
            continue
        found.append(f"--- {aspect}: Postfix    +++ {aspect}: ours")
        found += list(difflib.unified_diff(theirs, ours, n=2, lineterm=""))[2:] or ["no difference"]
        if wanted:
            found += ["but the scenario says that the difference is", *wanted]
    return found


class Runner:
    """Runs scenarios on so many pairs at once."""

    def __init__(self, jobs):
        self.pairs, self.free = [], queue.Queue()
        try:
            for _ in range(jobs):
                self.pairs.append(Pair())
                self.free.put(self.pairs[-1])
        except BaseException:
            self.destroy()
            raise

    def perform(self, scenario):
        pair = self.free.get()
        try:
            return pair.perform(scenario)
        finally:
            self.free.put(pair)

    def each(self, scenarios):
        """(scenario, what both sides did or an exception), in the order of the list."""
        def attempt(scenario):
            try:
                return scenario, self.perform(scenario)
            except Exception as error:  # the others run on; whoever asked is told
                return scenario, error
        with ThreadPoolExecutor(len(self.pairs)) as pool:
            yield from pool.map(attempt, scenarios)

    def destroy(self):
        for pair in self.pairs:
            pair.destroy()
