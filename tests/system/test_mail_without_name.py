"""New mail lies in a slot of its cleanup process until it is settled (src/queue/commit_slots.h): whatever becomes of it there, none is lost and none is taken for another."""
import contextlib
import json
import os
import pathlib
import re
import signal
import threading
import time

from instance import USER, wait_until

DISCARD = "transport_maps = inline:{discard.test=discard:silently}"
MANY = 20


def send(server, start, count, recipient="x@discard.test"):
    with server.smtp() as client:
        for number in range(start, start + count):
            client.sendmail("s@a.test", [recipient], f"Subject: {number}\r\n\r\nbody {number}\r\n")


def slots(server):
    """Files with a message in them."""
    return [path for path in pathlib.Path(server.queue, "commit/slots").glob("*/*") if path.stat().st_size > 0]


def numbers(mails):
    return sorted(int(re.search(rb"^Subject: (\d+)", mail, re.M)[1]) for mail in mails)


class Stopped:
    """Processes that stand still meanwhile."""

    def __init__(self, server, name):
        self.pids = server.processes(name)
        assert self.pids, name

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *unused):
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_slot_whose_file_got_a_name_is_not_used_again(make_instance):
    """The file of a message that took long goes to active and from there to the pool, empty: it is no slot any more, and what somebody wrote there would be lost."""
    server = make_instance([DISCARD])
    send(server, 0, 1)
    server.wait_log(": removed", 10)
    with Stopped(server, "discard"):
        send(server, 0, MANY)
        wait_until(lambda: len(os.listdir(f"{server.queue}/active")) >= MANY, what="names in active")
    server.wait_log(": removed", 10, count=1 + MANY)
    send(server, 0, 2 * MANY)
    server.wait_log(": removed", 10, count=1 + 3 * MANY)
    server.wait_empty()
    assert slots(server) == []
    assert "corrupt" not in server.log()


def test_mail_without_a_name_is_listed(instance):
    """Once, wherever it lies by then."""
    send(instance, 0, 1, f"{USER}@localhost")
    instance.wait_mail(1)
    with Stopped(instance, "qmgr"):
        send(instance, 1, MANY, f"{USER}@localhost")
        assert len(slots(instance)) == MANY
        listed = [json.loads(line) for line in instance.command("postqueue", "-j").stdout.splitlines()]
    assert len({m["queue_id"] for m in listed}) == len(listed) == MANY
    assert {(m["queue_name"], m["sender"], m["recipients"][0]["address"]) for m in listed} == {("incoming", "s@a.test", f"{USER}@localhost")}
    instance.wait_mail(1 + MANY)
    instance.wait_empty()


def test_what_qmgr_did_not_hear_of_is_told_again(instance):
    """A qmgr that dies with announcements unread leaves mail that only its cleanup knows of."""
    send(instance, 0, 1, f"{USER}@localhost")
    instance.wait_mail(1)
    with Stopped(instance, "qmgr"):
        send(instance, 1, MANY, f"{USER}@localhost")
        assert len(slots(instance)) == MANY
        for pid in instance.processes("qmgr"):
            os.kill(pid, signal.SIGKILL)
    mails = instance.wait_mail(1 + MANY)
    assert numbers(mails) == list(range(1 + MANY))
    wait_until(lambda: slots(instance) == [], what="empty slots")


def test_mail_of_a_cleanup_that_died_is_given_a_name(instance):
    """Nobody announces it any more: qmgr finds it in the commit log."""
    send(instance, 0, 1, f"{USER}@localhost")
    instance.wait_mail(1)
    with Stopped(instance, "qmgr"):
        send(instance, 1, MANY, f"{USER}@localhost")
        qmgr = instance.processes("qmgr")
        for pid in instance.processes("cleanup"):
            os.kill(pid, signal.SIGKILL)
        for pid in qmgr:
            os.kill(pid, signal.SIGKILL)
    mails = instance.wait_mail(1 + MANY)
    assert numbers(mails) == list(range(1 + MANY))
    wait_until(lambda: slots(instance) == [], what="empty slots")


def test_a_clean_stop_gives_everything_a_name(instance):
    """Only plain queue files are left, which Postfix reads too."""
    send(instance, 0, 1, f"{USER}@localhost")
    instance.wait_mail(1)
    with Stopped(instance, "qmgr"):
        send(instance, 1, MANY, f"{USER}@localhost")
        assert len(slots(instance)) == MANY
        stop = threading.Thread(target=instance.stop)
        stop.start()
        time.sleep(0.5)
    stop.join()
    assert not os.path.exists(f"{instance.queue}/commit/slots") or not list(pathlib.Path(instance.queue, "commit/slots").glob("*/*"))
    assert len(os.listdir(f"{instance.queue}/incoming")) + len(instance.mailbox()) == 1 + MANY
    instance.start()
    mails = instance.wait_mail(1 + MANY)
    assert numbers(mails) == list(range(1 + MANY))


def test_mail_that_waits_outlives_a_reload(make_instance):
    """The qmgr before ends with mail in its agents' hands, wherever that lies: the next one takes it over, once it is alone."""
    server = make_instance([DISCARD])
    send(server, 0, 1)
    server.wait_log(": removed", 10)
    with Stopped(server, "discard"):
        send(server, 0, MANY)
        server.reload()
        send(server, 0, MANY)
        time.sleep(2.5)
    server.wait_log(": removed", 20, count=1 + 2 * MANY)
    server.wait_empty()
    assert len(re.findall(": removed$", server.log(), re.M)) == 1 + 2 * MANY
    wait_until(lambda: slots(server) == [], what="empty slots")
