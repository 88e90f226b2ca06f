"""The power is cut at random instants under load: what was acknowledged is delivered or listed afterwards, byte for byte."""
import glob
import os
import random
import re
import shutil
import subprocess
import threading
import time

import pytest

from instance import BIN, USER, Instance, free_port, wait_until
from ledger import Ledger, arrived, digest, name_of
from power_cut import LOGFLUSH, NOLOGFLUSH, CuttableDisk, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

# A message may come twice when it was delivered less than this before the cut: a second until its removal is noted, and what the disk needs.
WINDOW = 3.0
LATER = "x@later.test"
HELD = "held@test.example"  # a sender
LARGE, TOO_LARGE, LIMIT = 300000, 450000, 400000


class CutLedger(Ledger):
    """Every third message also goes to somebody who cannot be reached: it stays in the queue, half done. Some are held, some are too
    large for the commit log, some are larger than what is taken, and some are broken off in the middle of their text."""

    def is_later(self, number):
        return number % 3 == 0

    def is_held(self, number):
        return number % 7 == 1

    def sender(self, number):
        return HELD if self.is_held(number) else "sender@test.example"

    def recipients(self, number):
        return [self.recipient] + ([LATER] if self.is_later(number) else [])

    def size(self, number):
        return LARGE if number % 40 == 10 else TOO_LARGE if number % 40 == 25 else 3000

    def is_abandoned(self, number):
        return number % 11 == 5

    def submit(self, server):
        """By sendmail(1), one after the other."""
        for number in range(100000):
            if time.monotonic() >= self.deadline:
                return
            name = f"m{self.prefix}s{number:06d}"
            done = subprocess.run([f"{BIN}/sendmail", "-i", "-f", "sender@test.example", self.recipient], input=self.message(name, 3000),
                                  env=dict(os.environ, MAIL_CONFIG=server.etc), capture_output=True, timeout=60)
            if done.returncode == 0:
                self.acknowledge(name)
            time.sleep(0.02)

    def run(self, server):
        submitter = threading.Thread(target=self.submit, args=(server,))
        submitter.start()
        super().run()
        submitter.join()


def make_server(disk, engine, log, segment):
    server = Instance(f"{disk.mount_point}/i")
    closed = free_port()
    server.configure([f"commit_engine = {engine}", "smtpd_peername_lookup = no", f"maillog_file = {log}", f"maillog_file_prefixes = {os.path.dirname(log)}",
                      f"transport_maps = inline:{{later.test=smtp:[127.0.0.1]:{closed}}}", "local_destination_concurrency_limit = 4",
                      f"commit_segment_size = {segment}", f"message_size_limit = {LIMIT}",
                      f"smtpd_sender_restrictions = check_sender_access inline:{{{HELD}=HOLD}}", "minimal_backoff_time = 100s"])
    server.log_path = log
    return server


def run_until_cut(server, disk, seed, load):
    """Load; then darkness. The ledger, and when."""
    ledger = CutLedger(server.port, seed, 8, f"{USER}@localhost", 60)
    sender = threading.Thread(target=ledger.run, args=(server,))
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
    ledger.acknowledged = {name: whole for name, whole in ledger.acknowledged.items() if ledger.when[name] < when}
    return ledger, time.time() - (time.monotonic() - when)


def postcat(server, option, queue_id):
    return subprocess.run([f"{BIN}/postcat", "-c", server.etc, option, "-q", queue_id], check=True, capture_output=True, timeout=30).stdout


def waiting(server):
    """What waits for LATER, and what is held: two of {name: [digest of each copy]}."""
    later, held = {}, {}
    for entry in server.queued():
        message = postcat(server, "-bh", entry["queue_id"])
        name, body = name_of(message), digest(message.partition(b"\n\n")[2])
        if entry["queue_name"] == "hold":
            held.setdefault(name, []).append(body)
        elif any(recipient["address"] == LATER for recipient in entry["recipients"]):
            later.setdefault(name, []).append(body)
    return later, held


def settled(server):
    """Nothing is under way: only what nobody can take waits, and what is held."""
    return all(entry["queue_name"] == "hold" or entry["queue_name"] == "deferred" and [r["address"] for r in entry["recipients"]] == [LATER]
               for entry in server.queued())


def life_of(server, names):
    """What the log has about some messages."""
    log = server.log()
    ids = re.findall(r"cleanup\[\d+\]: (\w+): message-id=<(?:%s)@" % "|".join(map(str, names[:3])), log)
    return "\n".join(line for line in log.split("\n") if any(f" {queue_id}: " in line for queue_id in ids) or "master[" in line or "recover" in line)


class Count:
    def __init__(self):
        self.cuts = self.acknowledged = self.refused = self.lost = self.damaged = self.forbidden = self.twice = self.restored = 0

    def __str__(self):
        return (f"{self.cuts} cuts, {self.acknowledged} acknowledged, {self.refused} refused or broken off, lost {self.lost}, damaged {self.damaged}, "
                f"refused but there {self.forbidden}, delivered or listed twice {self.twice}, written again by recovery {self.restored}")


def check_place(ledger, found, wanted, count):
    """What is lost, what is not what was sent (acknowledged or not; old bytes under a new id too), and what must not be there."""
    lost = [name for name in wanted if name in ledger.acknowledged and name not in found]
    damaged = [name for name, copies in found.items() if any(copy != ledger.sent.get(name) for copy in copies)]
    forbidden = [name for name in found if name in ledger.forbidden]
    count.lost, count.damaged, count.forbidden = count.lost + len(lost), count.damaged + len(damaged), count.forbidden + len(forbidden)
    count.twice += sum(len(copies) > 1 for copies in found.values())
    return lost, damaged, forbidden


def check_places(ledger, server, found, count):
    numbers = range(100000 - len(ledger.todo))
    submitted = [name for name in ledger.acknowledged if "s" in name]
    later, held = waiting(server)
    return [check_place(ledger, found, submitted + [ledger.name(n) for n in numbers if not ledger.is_held(n)], count),
            check_place(ledger, later, [ledger.name(n) for n in numbers if ledger.is_later(n) and not ledger.is_held(n)], count),
            check_place(ledger, held, [ledger.name(n) for n in numbers if ledger.is_held(n)], count)]


def delivered_early(server, found, when):
    """What came twice although its first copy was in the mailbox long before the cut."""
    first = {}
    for path in glob.glob(f"{server.directory}/mail/{USER}/new/*"):
        with open(path, "rb") as file:
            name = name_of(file.read())
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
        count.refused += len(ledger.forbidden)
        problems = check_places(ledger, server, found, count)
        assert problems == [([], [], [])] * 3, (seed, problems, life_of(server, sum(sum(problems, ()), [])))
        early = delivered_early(server, found, when)
        assert not early, (seed, len(early), life_of(server, early))
    finally:
        done = server.command("posthouse", "stop", check=False)
        assert done.returncode == 0, (seed, done.stderr, server.log()[before:][-6000:])
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
    power_cuts(tmp_path, "ext4", engine, 10, load=(0.05, 0.8))


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
