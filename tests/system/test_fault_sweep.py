"""Every n-th call of every kind fails once, in every program: what was promised is kept, nothing refused is delivered, and the
service goes on by itself. See fault_cycle.py for what a cycle is, tests/tools/fault_preload.c for what fails."""
import collections
import functools
import glob
import os
import shutil
import signal
import time

import pytest

from fault_control import FAIL_ONCE, KILL, KINDS, SHORT, FaultControl, why_not
from fault_cycle import World, wait_quietly

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

DAEMONS = ["smtpd", "cleanup", "qmgr", "trivial-rewrite", "discard", "local", "virtual", "smtp", "bounce", "error", "pickup"]
COMMANDS = ["sendmail", "postdrop"]
# A call that was made is not seen by whoever fails it: the answer to it, the end of the process, may come after the deed.
ANSWERS_LOST = {"send", "receive", "malloc", "map", "connect", "accept", "socket", "fork", "thread"}


DISK = ["open", "read", "write", "fsync", "rename", "link", "unlink", "chmod", "truncate", "mkdir", "stat", "time"]
DEADLY = ["open", "write", "fsync", "rename", "link", "unlink", "chmod", "truncate", "time", "send"]
# The file of a message of this size is not used again but removed.
REMOVED = 300_000
# Without memory master ends, as every program does; nobody starts it again.
MASTER = [kind for kind in KINDS if kind not in ("malloc", "map")]
# A sweep that does not reach these has shown nothing.
MUST_COME = [("cleanup", "write"), ("cleanup", "fsync"), ("qmgr", "rename"), ("local", "write"), ("postdrop", "write"), ("master", "fork")]

EXACT = 15  # seconds, where every fault must come


class Tally:
    def __init__(self):
        self.faults = collections.Counter()

    def programs(self):
        return list(dict.fromkeys(program for program, _ in self.faults))

    def report(self, world, title):
        print(f"\n{title}: {sum(self.faults.values())} faults; {world.summary()}")
        for program in self.programs():
            print(f"  {program:16}" + ", ".join(f"{kind} {count}" for (p, kind), count in self.faults.items() if p == program and count))
        print(f"  twice: {dict(collections.Counter(what for _, _, what in world.judge().twice))}")


def kill_programs(server, programs):
    for program in programs:
        for pid in server.processes(program):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def one(world, tally, program, kind, n, action, prepare, patience=2, **session):
    """One cycle with one fault; whether it came, for which there are `patience` seconds."""
    control = world.control
    world.what = f"{program} {kind}:{n} action {action}"
    prepare(world, program)
    control.arm(program, kind, n, action=action)
    if program not in COMMANDS:
        world.session(**session)
    world.submit(program in COMMANDS)
    wait_quietly(lambda: control.done(program, kind) > 0, patience)
    world.wait_quiet(0.3)
    came = control.done(program, kind) > 0
    control.disarm()
    tally.faults[program, kind] += came
    return came


def nothing(_world, _program):
    pass


def start_anew(world, program):
    """The fault meets a process that starts."""
    kill_programs(world.server, [program])


def be_needed(world, _program):
    """master has something to do."""
    kill_programs(world.server, ["cleanup", "trivial-rewrite", "local"])


def chosen(count, most):
    """Some of 1..count: all when they are few, else the first and others evenly."""
    return [1 + i * count // most for i in range(most)] if count > most else list(range(1, count + 1))


def calm_cycle(world, program, prepare):
    prepare(world, program)
    world.control.disarm()
    world.what = "nothing"
    world.session()
    world.submit(program in COMMANDS)
    world.wait_quiet(3)


def revive(world):
    """A service that its last fault has throttled comes back, and qmgr forgets that it was dead."""
    time.sleep(1.1)
    world.server.command("postqueue", "-f", check=False)
    world.works_again()
    world.wait_quiet(1)


def sweep(world, tally, program, kinds, action=FAIL_ONCE, most=1000000, prepare=nothing):
    """A cycle without fault tells how many calls there are; then each of them fails, or `most` of each kind, until none is left."""
    calm_cycle(world, program, nothing)  # what it does only once, it does here
    calm_cycle(world, program, prepare)
    counts = {kind: world.control.count(program, kind) for kind in kinds}
    for kind in kinds:
        for n in chosen(counts[kind], most):
            if one(world, tally, program, kind, n, action, prepare):
                continue
            revive(world)
            if not one(world, tally, program, kind, n, action, prepare):
                break
    world.works_again()


@pytest.fixture
def make_world(make_instance, tmp_path):
    def make(*settings):
        world = World(functools.partial(make_instance, start=False), FaultControl(tmp_path / "faults", [*DAEMONS, *COMMANDS, "master", "recover"]), settings)
        world.server.start()
        world.works_again()
        return world
    return make


def judge(world, tally, title, answers_lost=frozenset(ANSWERS_LOST)):
    world.settle()
    tally.report(world, title)
    late = [row for row in world.check().late if row[2].split()[1].split(":")[0] not in answers_lost]
    assert not late, late[:5]


def run(world, title, programs, kinds=tuple(KINDS), **options):
    tally = Tally()
    for program in programs:
        sweep(world, tally, program, kinds, **options)
    missed = [(program, kind) for program, kind in MUST_COME if program in programs and kind in kinds and not tally.faults[program, kind]]
    assert not missed
    judge(world, tally, title, frozenset(KINDS) if options.get("action") == KILL else frozenset(ANSWERS_LOST))


def test_a_failing_call_in_any_program_loses_nothing(make_world):
    run(make_world("commit_engine = log"), "log", DAEMONS + COMMANDS, most=1)


def test_a_failing_call_loses_nothing_with_a_sync_for_each_file(make_world):
    run(make_world("commit_engine = file"), "file", ["cleanup", "qmgr"], DISK, most=2)


def test_a_process_that_starts_may_fail(make_world):
    run(make_world("commit_engine = log"), "starting", ["cleanup", "qmgr"], ["open", "write", "fsync", "rename", "mkdir", "thread"], most=1, prepare=start_anew)


def test_master_may_fail_to_start_a_process(make_world):
    run(make_world("commit_engine = log"), "master", ["master"], MASTER, most=1, prepare=be_needed)


def test_signal_9_at_any_call_loses_nothing(make_world):
    run(make_world("commit_engine = log"), "signal 9", ["cleanup", "qmgr"], DEADLY, action=KILL, most=1)


def test_a_write_may_be_short(make_world):
    run(make_world("commit_engine = log"), "short writes", ["cleanup", "local", "bounce", "postdrop"], ["write"], action=SHORT, most=8)


def test_what_qmgr_could_not_move_or_remove_is_not_forgotten(make_world):
    """It lies in active, and qmgr has forgotten it: the next run of the queue finds it."""
    world, tally = make_world("commit_engine = log"), Tally()
    for n in range(1, 6):
        # The first: most mail has no name, so few are renamed at all.
        one(world, tally, "qmgr", "rename", 1, FAIL_ONCE, nothing, EXACT)
        one(world, tally, "qmgr", "open", n, FAIL_ONCE, nothing, EXACT)
    for _ in range(3):
        one(world, tally, "qmgr", "unlink", 1, FAIL_ONCE, nothing, EXACT, size=REMOVED)
    world.settle()
    for folder in glob.glob(f"{world.server.queue}/deferred/?"):
        os.rmdir(folder)
    one(world, tally, "qmgr", "mkdir", 1, FAIL_ONCE, nothing, EXACT)
    assert tally.faults == {("qmgr", "rename"): 5, ("qmgr", "unlink"): 3, ("qmgr", "open"): 5, ("qmgr", "mkdir"): 1}
    judge(world, tally, "left in active")


def test_a_maildir_that_was_half_made_is_completed(make_world):
    world, tally = make_world(), Tally()
    for n in range(1, 4):
        shutil.rmtree(f"{world.server.directory}/vmail/v1", ignore_errors=True)
        assert one(world, tally, "virtual", "mkdir", n, FAIL_ONCE, nothing, EXACT)
        world.settle()
    judge(world, tally, "half made")


@pytest.mark.soak
@pytest.mark.parametrize("engine", ["log", "file"])
def test_every_failing_call_in_any_program_loses_nothing(make_world, engine):
    """Until none is left; without memory with one engine only: what ends a process is the same with both, and slow."""
    kinds = KINDS if engine == "log" else [kind for kind in KINDS if kind not in ("malloc", "map")]
    run(make_world(f"commit_engine = {engine}"), engine, DAEMONS + COMMANDS, kinds)


@pytest.mark.soak
def test_every_process_that_starts_may_fail(make_world):
    run(make_world("commit_engine = log"), "starting", DAEMONS, most=20, prepare=start_anew)


@pytest.mark.soak
def test_master_may_fail_at_every_call(make_world):
    run(make_world("commit_engine = log"), "master", ["master"], MASTER, prepare=be_needed)


@pytest.mark.soak
@pytest.mark.parametrize("engine", ["log", "file"])
def test_signal_9_at_every_call_loses_nothing(make_world, engine):
    run(make_world(f"commit_engine = {engine}"), f"signal 9, {engine}", DAEMONS + COMMANDS, DEADLY, action=KILL)
