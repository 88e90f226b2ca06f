"""The power is cut at random instants under load: what was acknowledged is delivered or listed afterwards, byte for byte."""
import glob
import hashlib
import os
import random
import re
import shutil
import subprocess
import threading
import time

import pytest

from instance import BIN, USER, Instance, free_port, wait_until
from ledger import Ledger, arrived
from power_cut import LOGFLUSH, NOLOGFLUSH, CuttableDisk, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

# A message may come twice when it was delivered less than this before the cut: a second until its removal is noted, and what the disk needs.
WINDOW = 3.0
LATER = "x@later.test"


class CutLedger(Ledger):
    """Every third message also goes to somebody who cannot be reached: it stays in the queue, half done."""

    def __init__(self, port, **options):
        super().__init__(port, recipient=f"{USER}@localhost", count=100000, sessions=8, size=3000, **options)
        self.when = {}

    def recipients(self, number):
        return [self.recipient] + ([LATER] if number % 3 == 0 else [])

    def send_one(self, session, number):
        done = super().send_one(session, number)
        if self.name(number) in self.acknowledged:
            self.when[self.name(number)] = time.monotonic()
        return done


def make_server(disk, engine, log, segment):
    server = Instance(f"{disk.mount_point}/i")
    closed = free_port()
    server.configure([f"commit_engine = {engine}", "smtpd_peername_lookup = no", f"maillog_file = {log}", f"maillog_file_prefixes = {os.path.dirname(log)}",
                      f"transport_maps = inline:{{later.test=smtp:[127.0.0.1]:{closed}}}", "local_destination_concurrency_limit = 4",
                      f"commit_segment_size = {segment}", "minimal_backoff_time = 100s"])
    server.log_path = log
    return server


def run_until_cut(server, disk, seed, load):
    """Load; then darkness. The ledger, and when."""
    ledger = CutLedger(server.port, deadline=60)
    sender = threading.Thread(target=ledger.run)
    sender.start()
    wait_until(lambda: ledger.acknowledged, 20, "the first acknowledgement\n" + server.log()[-3000:])
    time.sleep(random.Random(seed).uniform(*load))
    when = time.monotonic()
    disk.cut(random.Random(seed).choice([LOGFLUSH, NOLOGFLUSH]))
    ledger.deadline = 0
    disk.remove_power()
    sender.join()
    # With the power the processes would be gone. Here they live on for a moment, and a sync that waits for the journal while it is
    # shut down may report success: only what was acknowledged before counts.
    ledger.acknowledged = {name: digest for name, digest in ledger.acknowledged.items() if ledger.when.get(name, when) < when}
    return ledger, time.time() - (time.monotonic() - when)


def postcat(server, option, queue_id):
    return subprocess.run([f"{BIN}/postcat", "-c", server.etc, option, "-q", queue_id], check=True, capture_output=True, timeout=30).stdout


def listed(server):
    """{name: [digest of each copy]} of what waits for LATER."""
    found = {}
    for entry in server.queued():
        if any(recipient["address"] == LATER for recipient in entry["recipients"]):
            name = next(line[9:].decode() for line in postcat(server, "-h", entry["queue_id"]).split(b"\n") if line.startswith(b"Subject: m"))
            body = postcat(server, "-b", entry["queue_id"])
            found.setdefault(name, []).append(hashlib.sha256(body.removeprefix(b"\n")).hexdigest())
    return found


def settled(server):
    """Nothing is under way: only what nobody can take waits."""
    return all(entry["queue_name"] == "deferred" and [r["address"] for r in entry["recipients"]] == [LATER] for entry in server.queued())


def life_of(server, names):
    """What the log has about some messages."""
    log = server.log()
    ids = re.findall(r"cleanup\[\d+\]: (\w+): message-id=<(?:%s)@" % "|".join(names[:3]), log)
    return "\n".join(line for line in log.split("\n") if any(f" {queue_id}: " in line for queue_id in ids) or "master[" in line or "recover" in line)


class Count:
    def __init__(self):
        self.cuts = self.acknowledged = self.lost = self.damaged = self.twice = self.restored = 0

    def __str__(self):
        return (f"{self.cuts} cuts, {self.acknowledged} acknowledged, lost {self.lost}, damaged {self.damaged}, "
                f"delivered or listed twice {self.twice}, written again by recovery {self.restored}")


def check_places(ledger, found, wanted, count):
    """What is lost or damaged."""
    names = [ledger.name(number) for number in range(ledger.count) if wanted(number) and ledger.name(number) in ledger.acknowledged]
    lost = [name for name in names if name not in found]
    damaged = [name for name in names if any(digest != ledger.acknowledged[name] for digest in found.get(name, []))]
    count.lost, count.damaged = count.lost + len(lost), count.damaged + len(damaged)
    count.twice += sum(len(copies) > 1 for copies in found.values())
    return lost, damaged


def delivered_early(server, found, when):
    """What came twice although its first copy was in the mailbox long before the cut."""
    first = {}
    for path in glob.glob(f"{server.directory}/mail/{USER}/new/*"):
        with open(path, "rb") as file:
            name = next((line[9:].decode().strip() for line in file if line.startswith(b"Subject: m")), None)
        first[name] = min(first.get(name, when), os.path.getmtime(path))
    return [name for name, copies in found.items() if len(copies) > 1 and first[name] < when - WINDOW]


def one_cut(server, disk, seed, load, count):
    ledger, when = run_until_cut(server, disk, seed, load)
    disk.restore()
    before = len(server.log())
    server.start()
    try:
        wait_until(lambda: settled(server), 60, "an empty active queue")
        found = arrived(server.mailbox())
        count.cuts, count.acknowledged = count.cuts + 1, count.acknowledged + len(ledger.acknowledged)
        restored = re.search(r"recovered: .* (\d+) written again", server.log()[before:])
        count.restored += int(restored.group(1)) if restored else 0
        problems = [check_places(ledger, found, lambda number: True, count),
                    check_places(ledger, listed(server), lambda number: number % 3 == 0, count)]
        assert problems == [([], [])] * 2, (seed, problems, life_of(server, sum(sum(problems, ()), [])))
        early = delivered_early(server, found, when)
        assert not early, (seed, len(early), life_of(server, early))
    finally:
        server.command("posthouse", "stop")
    for path in glob.glob(f"{server.queue}/*/*/*") + glob.glob(f"{server.queue}/*/*") + glob.glob(f"{server.directory}/mail/{USER}/new/*"):
        if os.path.isfile(path) and not path.endswith(("lock", "checkpoint", "master.pid")):
            os.unlink(path)


def power_cuts(tmp_path, kind, engine, cuts, first_seed=0, load=(0.05, 1.2), segment=1 << 20):
    count = Count()
    disk = CuttableDisk(str(tmp_path), kind)
    try:
        server = make_server(disk, engine, str(tmp_path / "mail.log"), segment)
        for seed in range(first_seed, first_seed + cuts):
            server.start()
            one_cut(server, disk, seed, load, count)
    finally:
        print(f"{kind}, engine {engine}: {count}")
        disk.destroy()
    assert count.acknowledged > cuts


@pytest.mark.parametrize("engine", ["log", "file"])
def test_what_was_acknowledged_survives_power_cuts(tmp_path, engine):
    power_cuts(tmp_path, "ext4", engine, 10)


def test_what_was_over_long_before_the_cut_does_not_come_back(tmp_path):
    """Segments so large that none is emptied meanwhile: only qmgr's notes tell recovery what was delivered."""
    power_cuts(tmp_path, "ext4", "log", 1, first_seed=100, load=(4.5, 5.5), segment=128 << 20)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize("engine", ["log", "file"])
def test_what_was_acknowledged_survives_hundreds_of_power_cuts(tmp_path, kind, engine):
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"no mkfs.{kind}")
    power_cuts(tmp_path, kind, engine, 100, 1000)
