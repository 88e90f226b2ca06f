"""The engines behind 250 (doc/commit.md), their files, and recovery after a crash of everything."""
import glob
import os
import re
import subprocess
import time

import pytest

from instance import LIBEXEC, USER, free_port, wait_until


def segments(server):
    return {os.path.basename(path): os.path.getsize(path) for path in glob.glob(f"{server.queue}/commit/*.log")}


def send(server, count, recipient=f"{USER}@localhost"):
    with server.smtp() as client:
        for number in range(count):
            client.sendmail("s@a.test", [recipient], f"Subject: {number}\r\n\r\nbody {number}\r\n")


def recover(server, *options):
    return subprocess.run([f"{LIBEXEC}/recover", "-c", server.etc, *options], capture_output=True, text=True, timeout=30)


def test_commit_engine_chooses_where_a_message_is_made_safe(make_instance):
    by_file = make_instance(["commit_engine = file"])
    send(by_file, 3)
    by_file.wait_mail(3)
    assert not segments(by_file)
    by_log = make_instance(["commit_engine = log", "commit_segment_size = 262144"])
    send(by_log, 3)
    by_log.wait_mail(3)
    wait_until(lambda: len(segments(by_log)) >= 2, what="segments of cleanup and qmgr")
    assert set(segments(by_log).values()) == {262144}
    # Only plain queue files are left for whoever comes next.
    by_log.stop()
    assert not segments(by_log)


def test_a_wrong_engine_is_said(make_instance):
    server = make_instance(["commit_engine = hope", "service_throttle_time = 1s"])
    server.wait_log(r"qmgr\[\d+\]: fatal: bad value of commit_engine: hope")


def is_logging(server):
    """Whether the message that is sent now, and delivered, was logged."""
    send(server, 1)
    server.wait_empty()
    return server.is_logged(re.findall(r"qmgr\[\d+\]: ([0-9A-F]+): removed", server.log())[-1])


@pytest.fixture
def crashed(make_instance):
    """An instance that died with two recorded messages in its queue."""
    server = make_instance(["commit_engine = log", f"transport_maps = inline:{{later.test=smtp:[127.0.0.1]:{free_port()}}}"])
    for _ in range(10):
        wait_until(lambda: is_logging(server), what="a segment of cleanup")
        time.sleep(2)  # what is over has been noted
        send(server, 2, "x@later.test")
        wait_until(lambda: len(server.queued()) == 2 and all(e["queue_name"] == "deferred" for e in server.queued()))
        server.crash()
        if all(server.is_logged(os.path.basename(path)) for path in deferred(server)):
            return server
        server.start()
        server.command("postsuper", "-d", "ALL")
    raise AssertionError("always a checkpoint before the crash")


def deferred(server):
    return sorted(path for path in glob.glob(f"{server.queue}/deferred/*/*") if os.path.isfile(path))


def test_what_the_file_system_lost_comes_back(crashed):
    lost, cut = deferred(crashed)
    with open(cut, "rb") as file:
        whole = file.read()
    os.unlink(lost)
    os.truncate(cut, 100)
    crashed.start()
    crashed.wait_log(r"recover\[\d+\]: recovered: 2 messages recorded, 0 whole, 2 written again, 0 removed again")
    wait_until(lambda: len(deferred(crashed)) == 2, what="both messages")
    with open(cut, "rb") as file:
        assert file.read() == whole


def test_a_whole_file_is_left_as_it_is(crashed):
    before = [(path, os.stat(path).st_ino) for path in deferred(crashed)]
    done = recover(crashed)
    assert done.returncode == 0 and "2 messages recorded, 2 whole" in done.stderr + crashed.log()
    assert [(path, os.stat(path).st_ino) for path in deferred(crashed)] == before
    # Once is enough.
    lines = crashed.log().count("recovered:")
    assert recover(crashed).returncode == 0
    assert crashed.log().count("recovered:") == lines


def test_a_damaged_segment_costs_only_what_was_in_it(crashed):
    for path in glob.glob(f"{crashed.queue}/commit/*.log"):
        with open(path, "r+b") as file:
            file.seek(4096)
            file.write(os.urandom(65536))
    os.truncate(f"{crashed.queue}/commit/checkpoint", 10)
    crashed.start()
    assert len(deferred(crashed)) == 2


def test_nobody_recovers_below_a_running_system(make_instance):
    server = make_instance(["commit_engine = log"])
    done = recover(server)
    assert done.returncode == 1 and "fatal: the mail system is running" in done.stderr


def test_without_room_for_a_segment_each_message_is_synced_by_itself(make_instance):
    server = make_instance(["commit_engine = log"])
    # A directory in the place of every segment: none can be made.
    for number in range(1000):
        os.makedirs(f"{server.queue}/commit/{number:03d}.log", exist_ok=True)
    send(server, 3)
    server.wait_mail(3)
    server.wait_log(r"cleanup\[\d+\]: warning: no commit log: Is a directory: each message is synced by itself")


def test_what_was_delivered_just_before_a_clean_stop_does_not_come_back(make_instance):
    """Killed by the stop, qmgr does not write its notes of the last second."""
    server = make_instance()
    for number in range(1, 4):
        send(server, 1)
        server.wait_log(r"qmgr\[\d+\]: \w+: removed$", count=number)
        server.stop()
        assert not glob.glob(f"{server.queue}/incoming/*") + glob.glob(f"{server.queue}/commit/*.log") + glob.glob(f"{server.queue}/commit/pool/*/*")
        server.start()
    assert len(server.mailbox()) == 3 and "recovered:" not in server.log()
