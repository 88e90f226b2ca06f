"""qmgr where something goes wrong: nobody is returned to the sender without a word, what is large fits into frames, one bad delivery
does not stop a transport, and a scan that could not start is made up for."""
import os
import re
import time

import pytest

from fake_smtp import HANG, FakeSMTP
from fault_control import FaultControl
from fault_control import why_not as why_no_faults
from instance import USER, free_port, wait_until
from test_backlog import record
from test_large_messages import write_queue_file
from test_parameters import BASE, ME, deferred_files, maps, submit, wait_deferred

# One attempt, unless a test asks for more.
PATIENT = ["minimal_backoff_time = 300s", "maximal_backoff_time = 300s", "queue_run_delay = 300s"]


def put_message(server, recipients, age=0):
    """A message as cleanup leaves it."""
    content = record(b"N", b"Subject: list") + record(b"N") + record(b"N", b"x" * 70)
    head = [record(b"T", b"%d 0" % (time.time() - age)), record(b"A", b"rewrite_context=local"), record(b"S", ME.encode())]
    for address in recipients:
        head += [long_record(b"O", address.encode()), long_record(b"R", address.encode())]
    head = b"".join(head) + record(b"M")
    write_queue_file(server, head, content, len(recipients))


def hand_in(server, recipients, age=0):
    """Whatever smtpd would say of them."""
    put_message(server, recipients, age)
    server.command("postqueue", "-f")


def long_record(kind, data):
    """Lengths are seven bits a byte."""
    return record(kind, data) if len(data) < 128 else kind + bytes([len(data) & 127 | 128, len(data) >> 7]) + data


def reasons(server):
    found = [os.path.join(d, f) for d, _, names in os.walk(f"{server.queue}/defer") for f in names]
    assert len(found) == 1
    return found[0]


def forget(server, is_forgotten):
    """The defer log without the entries whose number says so."""
    with open(reasons(server), encoding="utf-8") as file:
        entries = file.read().strip("\n").split("\n\n")
    kept = [entry for number, entry in enumerate(entries) if not is_forgotten(number)]
    with open(reasons(server), "w", encoding="utf-8") as file:
        file.write("".join(f"\n{entry}\n\n" for entry in kept))
    return len(entries)


def expire(server):
    server.command("postsuper", "-e", "ALL")
    server.command("postqueue", "-f")


def returned(server, seconds=30):
    """The recipients that the notice names, with their status."""
    notice = server.wait_mail(1, seconds=seconds)[0].decode()
    return dict(re.findall(r"Final-Recipient: rfc822; (\S+)\n(?:Original-Recipient: .*\n)?Action: failed\nStatus: (\S+)", notice))


def test_who_has_no_reason_is_returned_all_the_same(make_instance):
    server = make_instance(BASE + PATIENT + ["default_transport = retry:4.2.1 not today"])
    hand_in(server, ["a@x.test", "b@x.test", "c@x.test"])
    wait_deferred(server)
    assert forget(server, lambda number: number == 1) == 3
    expire(server)
    told = returned(server)
    assert sorted(told) == ["a@x.test", "b@x.test", "c@x.test"]
    assert sorted(told.values()) == ["4.2.1", "4.2.1", "4.4.7"]
    server.wait_empty()


def test_a_reason_that_a_crash_cut_short_is_told_again(make_instance):
    """The next entry is written behind it, and must not become one with it."""
    server = make_instance(BASE + PATIENT + ["default_transport = retry:4.2.1 not today"])
    hand_in(server, ["a@x.test", "b@x.test", "c@x.test"])
    wait_deferred(server)
    forget(server, lambda number: number == 0)
    with open(reasons(server), "r+b") as file:
        file.truncate(os.path.getsize(file.name) - 6)
    expire(server)
    assert sorted(returned(server)) == ["a@x.test", "b@x.test", "c@x.test"]


def test_nobody_of_a_large_list_is_lost(make_instance):
    """Log and list are compared in pieces; the first pieces hold entries of neighbours only."""
    server = make_instance(BASE + PATIENT + ["default_transport = retry:4.2.1 not today", "bounce_size_limit = 1000"])
    hand_in(server, [f"r{number:05}@x.test" for number in range(10000)])
    wait_deferred(server)
    assert forget(server, lambda number: number % 3 == 0 or number > 9000) == 10000
    expire(server)
    told = returned(server, 60)
    assert len(told) == 10000
    assert list(told.values()).count("4.4.7") == sum(number % 3 == 0 or number > 9000 for number in range(10000))


def test_without_any_reasons_an_old_message_is_returned(make_instance):
    """Nothing could be recorded: both retry and the transport are missing."""
    server = make_instance(BASE + PATIENT + ["default_transport = nosuch:"], replace=[("\nretry ", "\n#retry ")])
    hand_in(server, ["a@x.test", "b@x.test"], age=6 * 86400)
    assert returned(server) == {"a@x.test": "4.4.7", "b@x.test": "4.4.7"}
    server.wait_empty()


def test_a_message_whose_attempt_was_cut_short_is_tried_before_it_expires(make_instance):
    """postsuper -e, while one recipient is deferred and the other under way, then a crash."""
    silent = FakeSMTP("127.0.0.1", free_port(), greeting=HANG)
    server = make_instance(BASE + PATIENT + [maps("{a.test = retry:4.2.1 not today}", f"{{b.test = smtp:[127.0.0.1]:{silent.port}}}")])
    hand_in(server, ["x@a.test", "y@b.test"])
    server.wait_log("to=<x@a.test>.*status=deferred")
    wait_until(lambda: server.queued()[0]["queue_name"] == "active", what="the message in active")
    server.command("postsuper", "-e", "ALL")
    server.crash()
    silent.close()
    server.start()
    told = returned(server)
    assert sorted(told) == ["x@a.test", "y@b.test"]
    assert told["y@b.test"] != "4.4.7"


LONG = "n" * 60 + "." + ".".join("d" * 50 for _ in range(3))


@pytest.mark.parametrize("limit", [0, 1000])
def test_a_thousand_long_recipients_for_one_destination(make_instance, limit):
    """No frame holds all of them, neither of a question to the resolver nor of a delivery."""
    server = make_instance(BASE + PATIENT + ["default_transport = discard:", f"discard_destination_recipient_limit = {limit}"])
    hand_in(server, [f"r{number:05}{'l' * 50}@{LONG}.test" for number in range(1000)])
    server.wait_log("status=sent", count=1000, seconds=30)
    server.wait_empty()
    assert "Message too long" not in server.log() and "suspended" not in server.log()


def test_many_recipients_together_do_not_take_the_memory_of_many_destinations(make_instance):
    server = make_instance(BASE + PATIENT + ["default_transport = discard:", "discard_destination_recipient_limit = 0"])
    hand_in(server, [f"r@d{number}.test" for number in range(1000)])
    wait_until(lambda: deferred_files(server) or not server.queued(), 30, "the end of the attempt")
    assert server.log().count("status=sent") == 1000
    server.wait_empty()


def test_one_slow_delivery_does_not_stop_its_transport(make_instance):
    """daemon_timeout ends the wait for one destination; others of the transport go on."""
    slow, fast = FakeSMTP("127.0.0.1", free_port(), greeting=HANG), FakeSMTP("127.0.0.1", free_port())
    server = make_instance(BASE + PATIENT + ["daemon_timeout = 2s", maps(
        f"{{slow.test = smtp:[127.0.0.1]:{slow.port}}}", f"{{fast.test = smtp:[127.0.0.1]:{fast.port}}}")])
    submit(server, "a@slow.test", sender=ME)
    server.wait_log("Connection timed out", seconds=15)
    server.wait_log("to=<a@slow.test>.*status=deferred.*gave no result")
    submit(server, "b@fast.test", sender=ME)
    server.wait_log("to=<b@fast.test>", seconds=15)
    assert re.search("to=<b@fast.test>.*status=sent", server.log())
    slow.close()
    fast.close()


@pytest.mark.skipif(why_no_faults() is not None, reason=str(why_no_faults()))
def test_a_scan_that_could_not_start_is_made_up_for(make_instance, tmp_path):
    control = FaultControl(tmp_path / "faults", ["qmgr"])
    server = make_instance(BASE + PATIENT, start=False)
    server.environment = control.environment
    server.start()
    submit(server, ME)
    server.wait_mail(1)
    time.sleep(7)  # all that the start makes it do again is over
    put_message(server, [f"{USER}@lab.test"])
    control.arm("qmgr", "open", 1, "EMFILE")
    server.command("postkick", "public", "qmgr", "I")
    server.wait_log("open directory .*Too many open files")
    server.wait_mail(2, seconds=15)
    assert server.log().count("Too many open files") == 1
