"""Deliveries to maildirs of one owner that are under way at the same time: written together, synced together; and what they must not
do to each other."""
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from instance import wait_until
from root_instance import RootInstance
from test_many_maildirs import QUICK, has_journal, left_in_tmp, messages, owned_by, send

COUNT = 5  # initial_destination_concurrency
OWNERS = {"u": 64130, "v": 64131}
SENT = r"to=<{}@box\.test>.*status=sent \(delivered to {}\)$"


@pytest.fixture
def together():
    """(server, base directory, pid of the scribe of u); v's maildir and the mailbox file of w have another owner."""
    server = RootInstance([*QUICK, "virtual_mailbox_maps = inline:{u@box.test=u/, v@box.test=v/, w@box.test=w}",
                           "virtual_uid_maps = inline:{{u@box.test=%d}, {@box.test=%d}}" % (OWNERS["u"], OWNERS["v"]),
                           "virtual_gid_maps = $virtual_uid_maps", "deliver_lock_delay = 1s", "deliver_lock_attempts = 60"])
    base = f"{server.directory}/boxes"
    os.mkdir(base)
    os.chmod(base, 0o777)
    server.configure([f"virtual_mailbox_base = {base}"])
    try:
        server.start()
        for number in (1, 2):
            send(server, ["u"])
            server.wait_log(SENT.format("u", "maildir"), count=number)
        (pid,) = owned_by(server, OWNERS["u"])
        yield server, base, pid
    finally:
        server.destroy()


def send_held(server, pid, count):
    """Messages for u that all are under way while the scribe stands still."""
    os.kill(pid, signal.SIGSTOP)
    for _ in range(count):
        send(server, ["u"])
    wait_until(lambda: len(server.queued()) == count, 5, "the messages to be under way")
    time.sleep(0.5)


def test_what_is_under_way_at_the_same_time_shares_its_syncs(together, tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    server, base, pid = together
    send_held(server, pid, COUNT)
    with subprocess.Popen(["strace", "-qq", "-p", str(pid), "-e", "trace=fsync,linkat,rename,renameat,renameat2", "-o", f"{tmp_path}/calls"]) as tracer:
        try:
            wait_until(lambda: os.path.exists(f"{tmp_path}/calls"), 5, "strace")
            os.kill(pid, signal.SIGCONT)
            server.wait_log(SENT.format("u", "maildir"), count=2 + COUNT)
        finally:
            tracer.terminate()
    with open(f"{tmp_path}/calls", encoding="utf-8") as file:
        calls = file.read()
    assert len(re.findall(r"^(?:linkat|rename)", calls, re.M)) == COUNT
    if has_journal(base):  # elsewhere each file and each name is synced
        assert calls.count("fsync(") == 1, calls
    assert len(messages(base, "u")) == 2 + COUNT and left_in_tmp(base) == []
    server.wait_empty()


def test_a_scribe_that_dies_loses_none_of_what_is_under_way(together):
    server, base, pid = together
    send_held(server, pid, COUNT)
    os.kill(pid, signal.SIGKILL)
    server.wait_log(r"status=deferred \(delivery process died\)$", count=COUNT)
    server.wait_log(SENT.format("u", "maildir"), count=2 + COUNT)
    server.wait_empty()
    assert len(messages(base, "u")) == 2 + COUNT


def test_another_owners_turn_does_not_end_what_is_under_way(together):
    server, base, pid = together
    send_held(server, pid, 3)
    send(server, ["v"])
    server.wait_log(SENT.format("v", "maildir"))
    assert len(messages(base, "u")) == 2 and os.path.exists(f"/proc/{pid}")
    os.kill(pid, signal.SIGCONT)
    server.wait_log(SENT.format("u", "maildir"), count=5)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 5, "the dismissed scribe to end")
    assert len(messages(base, "u")) == 5
    server.wait_empty()


def test_a_child_keeps_no_queue_file_of_other_deliveries(together):
    """One that waits for a mailbox's lock would keep that of a message which was delivered meanwhile."""
    server, base, pid = together
    with open(f"{base}/w.lock", "w", encoding="utf-8"):
        pass
    os.chown(f"{base}/w.lock", OWNERS["v"], OWNERS["v"])
    send_held(server, pid, 2)
    send(server, ["w"])
    wait_until(lambda: len(owned_by(server, OWNERS["v"])) == 1, 5, "the child that waits for the lock")
    (child,) = owned_by(server, OWNERS["v"])
    links = [os.readlink(f"/proc/{child}/fd/{number}") for number in os.listdir(f"/proc/{child}/fd")]
    assert len([link for link in links if re.search(r"/(incoming|active|commit/slots/\d+)/", link)]) == 1, " ".join(links)
    os.kill(pid, signal.SIGCONT)
    server.wait_log(SENT.format("u", "maildir"), count=4)
    os.unlink(f"{base}/w.lock")
    server.wait_log(SENT.format("w", "mailbox"))
    server.wait_empty()
