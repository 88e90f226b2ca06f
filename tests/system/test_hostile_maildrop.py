"""What a hostile user can have lie in maildrop, by way of a file server or a trick, and what pickup makes of it."""
import os
import re
import socket
import stat
import time

import pytest

from hostile_helpers import CANARY, SECRET, machine, up  # noqa: F401
from instance import wait_until
from test_submit import GOOD, record, records

T = record("T", "1795318146 0")
MAIL = T + records(*GOOD[:3], "Rx@gone.test", *GOOD[4:])


def wake(machine):  # noqa: F811
    """pickup has looked at everything when a message dropped later is gone."""
    machine.system.sendmail("Subject: wake up\n\n", "x@gone.test", user="bob")
    wait_until(lambda: not [n for n in os.listdir(machine.maildrop) if re.fullmatch(r"[0-9A-F]{6,}", n) and n not in PLACED], 20, "pickup\n" + machine.system.log()[-2000:])
    time.sleep(0.3)


PLACED = ["AAAAA%d" % i for i in range(10)] + ["ABCDEF%d" % i for i in range(10)]


@pytest.fixture
def placed(up):  # noqa: F811
    yield up
    up.root.run("rm -rf /var/spool/postfix/maildrop/A*")


@pytest.mark.parametrize("kind", ["symlink", "hard link", "hard link to root's", "directory", "fifo", "socket", "device"])
def test_pickup_takes_nothing_but_a_file_with_one_name(placed, kind):
    path = f"{placed.maildrop}/AAAAA1"
    if kind == "symlink":
        os.symlink(CANARY, path)
    elif kind == "hard link":
        os.link(placed.put("ABCDEF1", MAIL, 0o644), path)
        os.chmod(path, 0o744)
    elif kind == "hard link to root's":
        with open(f"{placed.system.queue}/secret", "w", encoding="utf-8") as file:
            file.write(SECRET)
        os.chmod(f"{placed.system.queue}/secret", 0o700)
        os.link(f"{placed.system.queue}/secret", path)
    elif kind == "directory":
        os.mkdir(path, 0o777)
    elif kind == "fifo":
        os.mkfifo(path, 0o777)
        os.chmod(path, 0o777)
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR | 0o777, os.makedev(1, 5))
    else:
        with socket.socket(socket.AF_UNIX) as server:
            at = os.open(placed.maildrop, os.O_PATH)
            server.bind(f"/proc/self/fd/{at}/AAAAA1")
            os.close(at)
        os.chmod(path, 0o777)
    before = os.lstat(path)
    wake(placed)
    after = os.lstat(path)
    assert (before.st_ino, before.st_mode, before.st_uid) == (after.st_ino, after.st_mode, after.st_uid)
    assert f"uid={placed.uid} from" not in placed.system.log()[-1500:]
    if kind == "hard link to root's":
        assert placed.root.read("/var/spool/postfix/secret") == SECRET


@pytest.mark.parametrize("mode, taken", [(0o744, True), (0o644, False), (0o600, False), (0o700, False), (0o044, False), (0o400, False), (0o000, False)])
def test_pickup_takes_files_by_their_mode(placed, mode, taken):
    """0700 is for the mail owner's own files (postsuper -r): one of a user cannot be read, and stays."""
    placed.put("AAAAA1", MAIL, mode)
    wake(placed)
    assert os.path.exists(f"{placed.maildrop}/AAAAA1") == (not taken)


def test_who_sent_a_message_is_told_by_the_owner_of_its_file(placed):
    text = T + records("Arewrite_context=local", "Alog_client_name=trusted.test", "Asasl_username=root", "FRoot", "Sroot", "Rx@gone.test", *GOOD[4:])
    placed.put("AAAAA1", text, 0o744)
    wake(placed)
    wait_until(lambda: not os.path.exists(f"{placed.maildrop}/AAAAA1"))
    assert re.search(rf"pickup\[\d+\]: \w+: uid={placed.uid} from=<root>", placed.system.log()) or "message rejected" in placed.system.log()
    assert "sasl_username=root" not in placed.system.log().split("postfix/pickup")[0] and "trusted.test" not in re.sub(r"ignoring.*", "", placed.system.log())


def test_a_queue_file_of_his_own_making_is_corrupt(placed):
    """With sizes, marks, pointers: what only our own programs may write, in a file that is his."""
    envelope = T + records("Sx@a.test", "Rx@gone.test", "M")
    size = record("C", " ".join("%15d" % n for n in (6, 97 + len(envelope), 1, 0, 6, 0)))
    corrupt = f"{placed.system.queue}/corrupt"
    before = len(os.listdir(corrupt))
    placed.put("AAAAA1", size + envelope + records("Nx", "X", "E"))
    placed.put("AAAAA2", T + records("Sx", "Dx@y", "Rx@gone.test", "M", "X", "E"))
    placed.put("AAAAA3", T + records("Sx", "Rx@gone.test", "p%15d" % 0, "M", "X", "E"))
    placed.put("AAAAA4", T + records("Sx", "Rx@gone.test", "M", "p%15d" % 19, "X", "E"))
    placed.put("AAAAA5", T + records("Sx", "Rx@gone.test", "M") + b"N\xff\xff\xff\xff\x7f")
    placed.put("AAAAA6", T + records("Sx", "Rx@gone.test\nRy@gone.test", "M", "X", "E"))
    placed.put("AAAAA7", b"")
    wake(placed)
    wait_until(lambda: len(os.listdir(corrupt)) == before + 7, 10, f"files in corrupt: {os.listdir(corrupt)}\n" + placed.system.log()[-2000:])


def test_a_file_that_changes_while_it_is_read(placed):
    """mallory keeps a descriptor of his file and writes into it all the time: what is taken is one message of his, or none."""
    for i in range(8):
        placed.put(f"ABCDEF{i}", MAIL.replace(b"Subject: dropped", b"Subject: mutable"), 0o744)
    paths = [f"{placed.maildrop}/ABCDEF{i}" for i in range(8)]
    handles = [open(path, "r+b", buffering=0) for path in paths]
    placed.root.popen(["sendmail", "x@gone.test"], user="bob", stdin=-3).wait(20)
    end = time.monotonic() + 1.5
    junk = [MAIL, MAIL[:40], b"\xff" * 200, T + records("Sx", "Dz@z", "Rroot", "M", "p%15d" % 1, "E")]
    i = 0
    while time.monotonic() < end:
        for handle in handles:
            handle.seek(0)
            handle.write(junk[i % 4])
            handle.truncate()
            i += 1
    for handle in handles:
        handle.close()
    assert "to=<root@" not in placed.system.log()


def test_postsuper_puts_back_what_pickup_then_takes(up):  # noqa: F811
    up.system.sendmail("Subject: again\n\nx\n", "x@later.test", user="bob")
    match = up.system.wait_log(r"postfix/error\[\d+\]: (\w+): to=<x@later.test>.*status=deferred")
    queue_id = match[1]
    wait_until(lambda: [m for m in up.system.queued() if m["queue_id"] == queue_id and m["queue_name"] == "deferred"])
    up.system.command("postsuper", "-r", queue_id)
    owner = int(up.root.run(["id", "-u", "postfix"]).stdout)
    up.system.command("postqueue", "-f")
    up.system.wait_log(rf"postfix/pickup\[\d+\]: \w+: uid={owner} from=<bob@mx.lab.test> orig_id={queue_id}$")
    assert queue_id not in os.listdir(up.maildrop)
    up.system.command("postsuper", "-d", "ALL")
