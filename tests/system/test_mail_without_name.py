"""New mail lies in a slot of its cleanup process until it is settled (src/queue/commit_slots.h): whatever becomes of it there, none is lost and none is taken for another."""
import json
import os
import pathlib
import re
import signal
import struct
import threading
import time

from instance import USER, Stopped, mail_in_slots, wait_until
from wire import Wire, text

DISCARD = "transport_maps = inline:{discard.test=discard:silently}"
MANY = 20


def send(server, start, count, recipient="x@discard.test"):
    with server.smtp() as client:
        for number in range(start, start + count):
            client.sendmail("s@a.test", [recipient], f"Subject: {number}\r\n\r\nbody {number}\r\n")


def warm_up(instance):
    """One message all the way: its cleanup has a segment and slots from then on, and qmgr has forgotten it."""
    send(instance, 0, 1, f"{USER}@localhost")
    instance.wait_mail(1)
    instance.wait_empty()


def slots(server):
    """Files with a message in them."""
    return list(mail_in_slots(server.queue))


def numbers(mails):
    return sorted(int(re.search(rb"^Subject: (\d+)", mail, re.M)[1]) for mail in mails)


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
    warm_up(instance)
    with Stopped(instance, "qmgr"):
        send(instance, 1, MANY, f"{USER}@localhost")
        assert len(slots(instance)) == MANY
        listed = [json.loads(line) for line in instance.command("postqueue", "-j").stdout.splitlines()]
    assert len({m["queue_id"] for m in listed}) == len(listed) == MANY
    assert {(m["queue_name"], m["sender"], m["recipients"][0]["address"]) for m in listed} == {("incoming", "s@a.test", f"{USER}@localhost")}
    instance.wait_mail(1 + MANY)
    instance.wait_empty()


def test_who_is_sent_to_a_slot_of_another_message_leaves_it_alone(instance):
    """An announcement or a request may outlive its message: another lies there by then, with the same inode in its id."""
    warm_up(instance)
    with Stopped(instance, "qmgr"):
        send(instance, 1, 1, f"{USER}@localhost")
        path, = slots(instance)
        place = str(path.relative_to(instance.queue))
        queue_id = json.loads(instance.command("postqueue", "-j").stdout)["queue_id"]
        stale = ("00000" if queue_id[:5] != "00000" else "00001") + queue_id[5:]
        before = path.read_bytes()
        with Wire(instance.queue, "private/discard") as agent:
            recipient = struct.pack("<q", 0) + text("x@discard.test") + text("") + text("") + struct.pack("<I", 0)
            agent.send(1, struct.pack("<I", 0) + text(place) + text(stale) + struct.pack("<q", 300) + text("discard.test") + text("s@a.test") + text("") +
                       struct.pack("<II", 0, 0) + text("") + struct.pack("<qqq", 1, 1, 1) + struct.pack("<I", 1) + recipient)
            number, reply = agent.receive()
        assert (number, reply[:1]) == (2, b"\1"), "the recipient is not finished"
        instance.wait_log(rf"discard\[\d+\]: warning: {stale}: message is gone")
        assert path.read_bytes() == before
    instance.wait_mail(2)
    with Stopped(instance, "local"), Wire(instance.queue, "public/qmgr") as qmgr:
        send(instance, 2, 1, f"{USER}@localhost")
        instance.wait_log(r"nrcpt=1 \(queue active\)", count=3)
        stale = "no slot was seen"
        for path in slots(instance):  # one, for a quarter of a second
            directory, number = map(int, path.parts[-2:])
            stale = f"00000{path.stat().st_ino:X}"
            qmgr.send(1, struct.pack("<I", 1) + text(stale) + struct.pack("<QqB", (directory << 32 | number) + 1, 1, 0))
            qmgr.receive()
        time.sleep(0.1)
    instance.wait_mail(3)
    instance.wait_empty()
    assert f"{stale}: from=" not in instance.log()


def test_what_qmgr_did_not_hear_of_is_told_again(instance):
    """A qmgr that dies with announcements unread leaves mail that only its cleanup knows of."""
    warm_up(instance)
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
    warm_up(instance)
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
    warm_up(instance)
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
