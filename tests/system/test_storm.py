"""Signal 9 on every process at random instants under load, master too: what was acknowledged is kept and is delivered byte for byte."""
import collections
import functools
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from fault_cycle import NoFaults, World

DAEMONS = ["smtpd", "cleanup", "qmgr", "trivial-rewrite", "local", "virtual", "smtp", "bounce", "discard", "error", "pickup"]
AT_WORK = ["smtpd", "cleanup", "qmgr", "local"]
# Small, of some frames, and too large for the commit log.
SIZES = [1200, 1200, 1200, 20000, 90000, 400000]


class Storm(threading.Thread):
    """Kills all processes of a program, or master (then the system is started again), or all at once, in random order."""

    def __init__(self, server, seed, pause):
        super().__init__()
        self.server, self.random, self.pause = server, random.Random(seed), pause
        self.kills = collections.Counter()
        self.over = threading.Event()

    def kill(self, pids, name):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                self.kills[name] += 1
            except ProcessLookupError:
                pass

    def run(self):
        deck = []
        while not self.over.wait(self.random.uniform(0, self.pause)):
            deck = deck or self.random.sample(DAEMONS + AT_WORK + ["master", "all"], len(DAEMONS + AT_WORK) + 2)
            choice = deck.pop()
            if choice in DAEMONS:
                self.kill(self.server.processes(choice), choice)
                continue
            self.kill(self.server.processes(None if choice == "all" else "master"), choice)
            self.revive()

    def revive(self):
        """The lock of a killed master goes a moment after it."""
        for _ in range(100):
            if self.server.command("posthouse", "start", check=False, capture_output=False, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.05)
        self.server.start()


def load(world, seed, goes_on):
    """Threads that send as long as it goes on; a client that is refused comes again."""
    def sessions(number):
        rng = random.Random(seed * 100 + number)
        while goes_on():
            if world.session(rng.choice(SIZES)) == 0:
                time.sleep(0.05)

    def submissions():
        while goes_on():
            world.submit()
            time.sleep(0.02)
    threads = [threading.Thread(target=sessions, args=(number,)) for number in range(5)] + [threading.Thread(target=submissions)]
    for thread in threads:
        thread.start()
    return threads


def storm(make_instance, engine, seed, seconds, pause=0.4):
    world = World(functools.partial(make_instance, start=False), NoFaults(), [f"commit_engine = {engine}", "commit_segment_size = 1048576"])
    world.what = f"storm {seed}"
    world.server.start()
    world.works_again()
    killer = Storm(world.server, seed, pause)
    deadline = time.monotonic() + seconds

    def goes_on():
        """Also until each of those at work was killed, but not for ever."""
        now = time.monotonic()
        return now < deadline or now < deadline + 90 and not all(killer.kills[daemon] for daemon in AT_WORK)
    threads = load(world, seed, goes_on)
    killer.start()
    for thread in threads:
        thread.join()
    killer.over.set()
    killer.join()
    world.settle(120)
    print(f"\nstorm {seed}, engine {engine}: {sum(killer.kills.values())} processes killed {dict(killer.kills)}; {world.summary()}")
    world.check()
    assert all(killer.kills[daemon] > 0 for daemon in AT_WORK)


@pytest.mark.parametrize("engine, seed", [("log", 1), ("file", 2)])
def test_a_storm_of_signal_9_loses_nothing(make_instance, engine, seed):
    storm(make_instance, engine, seed, 8)


@pytest.mark.soak
@pytest.mark.parametrize("engine", ["log", "file"])
@pytest.mark.parametrize("seed", range(10, 13))
def test_long_storms_of_signal_9_lose_nothing(make_instance, engine, seed):
    storm(make_instance, engine, seed, 90)
