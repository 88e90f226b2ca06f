"""A disk that is full, has no inodes left, turns read-only, or fails: clients are told to come back, nothing is accepted that is not
kept, the log says what is the matter and does not flood, no process spins, and the service goes on by itself."""
import collections
import os
import re
import subprocess
import time

import pytest

from fault_control import FAIL_ON, FaultControl
from fault_control import why_not as why_no_faults
from fault_cycle import LATE, NoFaults, World
from instance import Instance
from power_cut import CuttableDisk, why_not

needs_disk = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
BLOCK = 4096
# Small messages only, so that smtpd's look at the free space (one and a half of these) does not keep us from the edge.
SMALL = ["message_size_limit = 20000", "commit_segment_size = 262144", "bounce_size_limit = 20000", "queue_run_delay = 10s"]


class SmallDisk:
    """A world on a file system of its own that can be filled."""

    def __init__(self, tmp_path, engine, options, megabytes=24):
        self.disk = CuttableDisk(str(tmp_path), "ext4", megabytes, ("-m", "0", "-b", str(BLOCK), *options))
        self.filler = f"{self.disk.mount_point}/filler"
        log = str(tmp_path / "mail.log")

        def make_server(lines):
            server = Instance(f"{self.disk.mount_point}/i")
            server.configure([*lines, *SMALL, f"commit_engine = {engine}", f"maillog_file = {log}", f"maillog_file_prefixes = {tmp_path}"])
            server.log_path = log
            return server
        self.world = World(make_server, NoFaults())

    def fill(self, blocks_left):
        """As a stranger's file would."""
        status = os.statvfs(self.disk.mount_point)
        size = (status.f_bavail - blocks_left) * BLOCK
        if size > 0:
            subprocess.run(["fallocate", "-l", str(size), self.filler], check=False, capture_output=True)
        # fallocate takes some blocks for itself.
        with open(f"{self.filler}.more", "wb", buffering=0) as file:
            try:
                while os.statvfs(self.disk.mount_point).f_bavail > blocks_left:
                    file.write(bytes(BLOCK))
            except OSError:
                pass

    def take_inodes(self, left):
        os.makedirs(self.filler, exist_ok=True)
        made = 0
        # The mail system takes some meanwhile, so nobody knows before how many there are.
        try:
            while True:
                with open(f"{self.filler}/{made}", "wb"):
                    made += 1
        except OSError:
            pass
        for number in range(left):
            os.unlink(f"{self.filler}/{made - 1 - number}")

    def relieve(self):
        subprocess.run(f"rm -rf {self.filler} {self.filler}.more", shell=True, check=True)

    def destroy(self):
        self.world.server.destroy()
        self.disk.destroy()


@pytest.fixture
def small_disk(tmp_path):
    made = []

    def make(engine, *options):
        made.append(SmallDisk(tmp_path, engine, options))
        made[0].world.server.start()
        made[0].world.works_again()
        return made[0]
    yield make
    for disk in made:
        disk.destroy()


def processor_seconds(server):
    total = 0
    for pid in server.processes():
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            pass
    return total


def stays_calm(world, seconds=1.0, lines=50):
    """While the trouble lasts and nobody asks for anything, it neither spins nor chatters."""
    before, log = processor_seconds(world.server), len(world.server.log().split("\n"))
    time.sleep(seconds)
    assert processor_seconds(world.server) - before < 0.3 * seconds
    assert len(world.server.log().split("\n")) - log < lines, world.server.log()[-3000:]


def judge(world, title):
    world.settle()
    print(f"\n{title}: {world.summary()}; replies {dict(collections.Counter(reply[:9] for reply in world.refusals))}")
    verdict = world.check()
    assert not verdict.late, verdict.late[:5]
    assert all(reply.startswith("4") for reply in world.refusals), world.refusals


def one_trouble(small, make_trouble, amount, what):
    world = small.world
    world.what = f"{what} {amount}"
    before = len(world.server.log())
    make_trouble(amount)
    for _ in range(2):
        world.session()
        world.submit()
    lines = world.server.log()[before:].count("\n")
    assert lines < 300, world.server.log()[before:][-5000:]
    small.relieve()
    world.works_again()


@needs_disk
@pytest.mark.parametrize("engine", ["log", "file"])
def test_a_disk_that_is_full_at_any_step_loses_nothing(small_disk, engine):
    small = small_disk(engine)
    world = small.world
    for blocks in [0, 1, 3, *range(8, 30, 3)]:
        one_trouble(small, small.fill, blocks, "blocks left")
    small.fill(0)
    stays_calm(world, 1.2)  # and smtpd's look at the free space is as old as it gets
    world.session()
    small.relieve()
    judge(world, f"full disk, engine {engine}")
    # smtpd says it before the message; whoever meets the edge later names the path.
    assert any(reply.startswith("452 4.3.1") for reply in world.refusals)
    assert re.search(r"warning: .*(incoming|maildrop|commit)[^\n]*No space left on device", world.server.log()), world.server.log()[-3000:]


@needs_disk
@pytest.mark.parametrize("engine", ["log", "file"])
def test_a_disk_without_inodes_loses_nothing(small_disk, engine):
    small = small_disk(engine, "-N", "256")
    for inodes in range(0, 10):
        one_trouble(small, small.take_inodes, inodes, "inodes left")
    small.take_inodes(0)
    stays_calm(small.world)
    small.relieve()
    judge(small.world, f"no inodes, engine {engine}")


@needs_disk
@pytest.mark.parametrize("engine", ["log", "file"])
def test_a_disk_that_turns_read_only_takes_nothing_and_loses_nothing(small_disk, engine):
    """As ext4 does it after an error: only a new mount helps."""
    small = small_disk(engine, "-e", "remount-ro")
    world, disk = small.world, small.disk
    device = subprocess.run(["findmnt", "-n", "-o", "SOURCE", disk.mount_point], capture_output=True, text=True, check=True).stdout.strip()
    trigger = f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error"
    if not os.path.exists(trigger):
        pytest.skip("this kernel's ext4 cannot be told to fail")
    world.session()
    # What the journal had not got would come back.
    os.sync()
    with open(trigger, "w", encoding="utf-8") as file:
        file.write("test of read-only\n")
    world.what = "read-only"
    kept = world.session()
    assert kept == 0
    assert world.submit() == LATE
    stays_calm(world)
    disk.remove_power()
    disk.restore()
    world.server.start()
    world.works_again()
    judge(world, f"read-only, engine {engine}")


@pytest.mark.skipif(why_no_faults() is not None, reason=str(why_no_faults()))
@pytest.mark.parametrize("engine", ["log", "file"])
@pytest.mark.parametrize("kind, error", [("fsync", "EIO"), ("fsync", "EROFS"), ("write", "ENOSPC"), ("open", "EMFILE"), ("rename", "EROFS")])
def test_trouble_that_lasts_is_told_and_ends(make_instance, tmp_path, engine, kind, error):
    """Every call of a kind fails in all programs that write, for a while."""
    programs = ["cleanup", "qmgr", "local", "bounce", "smtp", "pickup", "postdrop"]
    control = FaultControl(tmp_path / "faults", programs)
    world = World(lambda lines: make_instance([*lines, f"commit_engine = {engine}"], start=False), control)
    world.server.start()
    world.works_again()
    world.what = f"{kind} {error}"
    before = len(world.server.log())
    for program in programs:
        control.arm(program, kind, 1, error, FAIL_ON)
    kept = sum(world.session() for _ in range(3))
    submitted = world.submit(True)
    if kind in ("fsync", "write"):
        assert kept == 0 and submitted == LATE
    stays_calm(world)
    assert world.server.log()[before:].count("\n") < 400, world.server.log()[before:][-5000:]
    world.works_again()
    judge(world, f"{kind} {error}, engine {engine}")
