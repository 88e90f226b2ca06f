"""A long deferred queue: how soon mail flows after the start, what qmgr holds, and what new mail gets beside it."""
import os
import re
import shutil
import socket
import tempfile
import threading
import time

import pytest

from fake_smtp import HANG, FakeSMTP
from instance import Instance, free_port, wait_until

NEW, SESSIONS = 1000, 8
MAIN = ["smtpd_peername_lookup = no", "minimal_backoff_time = 1000s", "in_flow_delay = 0", "mynetworks = 127.0.0.0/8"]


def transports(where):
    return f"transport_maps = inline:{{ {{discard.test=discard:}} {{late.test={where}}} }}"


def record(kind, data=b""):
    return kind + bytes([len(data)]) + data


def fill(server, count, due):
    """Deferred files as cleanup and qmgr leave them; their next attempt at the time `due`."""
    content = record(b"N", b"Subject: old") + record(b"N") + b"".join(record(b"N", b"x" * 70) for _ in range(10))
    now = int(time.time())
    for i in range(16):
        os.makedirs(f"{server.queue}/deferred/{i:X}", 0o700, exist_ok=True)
    for i in range(count):
        head = record(b"T", b"%d %d" % (now - 3600, i % 1000000)) + record(b"A", b"rewrite_context=local") + record(b"S", b"s@a.test")
        address = b"r%d@late.test" % i
        head += record(b"O", address) + record(b"R", address) + record(b"M")
        size = b" ".join(b"%15d" % n for n in (len(content), 97 + len(head), 1, 0, len(content), 0))
        temporary = f"{server.queue}/deferred/tmp"
        with open(temporary, "wb") as file:
            file.write(b"C\x5f" + size + head + content + record(b"X") + record(b"E"))
        name = f"{i % 1048576:05X}{os.stat(temporary).st_ino:X}"
        os.chmod(temporary, 0o700)
        os.utime(temporary, (due, due))
        os.rename(temporary, f"{server.queue}/deferred/{name[0]}/{name}")
    os.sync()  # so that writing them back is not counted as a cost of the backlog


def deferred_count(server):
    return sum(len(files) for _, _, files in os.walk(f"{server.queue}/deferred"))


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return max(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


def send(port, count):
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.settimeout(60)
        file = s.makefile("rb")
        file.readline()
        s.sendall(b"EHLO c.test\r\n")
        while file.readline()[3:4] == b"-":
            pass
        for _ in range(count):
            s.sendall(b"MAIL FROM:<n@a.test>\r\nRCPT TO:<n@discard.test>\r\nDATA\r\n")
            for code in (b"250", b"250", b"354"):
                assert (line := file.readline()).startswith(code), line
            s.sendall(b"Subject: new\r\n\r\n" + b"y" * 700 + b"\r\n.\r\n")
            assert (line := file.readline()).startswith(b"250"), line


def delivered(server):
    with open(server.log_path, "rb") as file:
        return file.read().count(b"to=<n@discard.test>")


def rate(server, count=NEW):
    """Messages a second, from the first command to the last delivery."""
    before, started = delivered(server), time.monotonic()
    threads = [threading.Thread(target=send, args=(server.port, count // SESSIONS)) for _ in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: delivered(server) - before >= count // SESSIONS * SESSIONS, 120, "all new mail")
    return count // SESSIONS * SESSIONS / (time.monotonic() - started)


def pairs(empty, full, count=3):
    """[(rate with an empty queue, rate with a full one)], taken in turn: what else the machine does meets both."""
    return [(rate(empty), rate(full)) for _ in range(count)]


def best(ratios):
    return max(full / empty for empty, full in ratios)


def backlog(make_instance, count):
    port = free_port()
    main = [*MAIN, transports(f"smtp:[127.0.0.1]:{port}")]
    empty, full = make_instance(main), make_instance(main, start=False)
    fill(full, count, time.time() + 3600)
    started = time.monotonic()
    full.start()
    send(full.port, 1)
    wait_until(lambda: delivered(full) == 1, 60, "the first new message")
    start_seconds = time.monotonic() - started
    rate(empty, 200)  # warm
    waiting = pairs(empty, full)
    # Now all of it at once, to a server that is not there.
    full.command("postqueue", "-f")
    retried = rate(full)
    wait_until(lambda: full.log().count("@late.test>") >= count, 240, "an attempt of each")
    size = resident_mb(full.processes("qmgr")[0])
    wait_until(lambda: deferred_count(full) == count, what="all mail in deferred")
    shown = ", ".join(f"{e:.0f}/{f:.0f}" for e, f in waiting)
    print(f"\n{count} deferred: first new mail {start_seconds:.2f} s after start; qmgr at most {size:.0f} MB; new mail a second, "
          f"empty queue/full queue: {shown}; beside a retry of all {retried:.0f}")
    assert start_seconds < 10
    assert size < 60 + count * 0.010
    # A cost that grows with the queue shows in every pair.
    assert best(waiting) > 0.5
    assert retried > min(e for e, _ in waiting) * 0.1


@pytest.fixture
def make_in_memory():
    """Instances on a memory file system: ext4 needs up to a millisecond of the kernel's time to make a file where 20,000 lie
    in the same block groups, whoever makes it; what our own work costs shows without that."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no memory file system at /dev/shm")
    made = []

    def make(main=(), start=True):
        directory = tempfile.mkdtemp(prefix="posthouse-", dir="/dev/shm")
        instance = Instance(f"{directory}/i")
        made.append((instance, directory))
        instance.configure(main)
        if start:
            instance.start()
        return instance
    yield make
    for instance, directory in made:
        instance.destroy()
        shutil.rmtree(directory, ignore_errors=True)


def test_new_mail_beside_a_deferred_queue(make_in_memory):
    backlog(make_in_memory, 3000)


@pytest.mark.soak
def test_new_mail_beside_20000_deferred_messages(make_in_memory):
    backlog(make_in_memory, 20000)


def test_new_mail_gets_through_when_deferred_mail_fills_the_active_queue(make_instance):
    """Deferred mail to a server that takes minutes for each message: a part of the active queue stays for new mail."""
    slow = FakeSMTP("127.0.0.1", greeting=HANG)
    server = make_instance([*MAIN, transports(f"smtp:[127.0.0.1]:{slow.port}"), "qmgr_message_active_limit = 50"], start=False)
    fill(server, 300, 1)
    server.start()
    wait_until(lambda: len(os.listdir(f"{server.queue}/active")) >= 40, what="a full active queue")
    send(server.port, 30)
    wait_until(lambda: delivered(server) == 30, 20, "new mail\n" + server.log()[-2000:])
    assert len(os.listdir(f"{server.queue}/active")) <= 50
    assert len(re.findall("status=deferred", server.log())) == 0
    slow.drop_connections()
    slow.close()
