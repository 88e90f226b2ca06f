"""Messages of more recipients than qmgr takes into memory: what it holds, and who goes first meanwhile. No delivery takes time but by a pause."""
import os
import re
import time

import pytest

from instance import wait_until
from test_backlog import record, resident_mb
from test_parameters import BASE, maps, submit

ROW = "{} unix - - n - - discard"
# At most four recipients are read when a message becomes active; those of t.test go one by one.
FEW = ["qmgr_message_recipient_limit = 4", "qmgr_message_active_limit = 4", "t_transport_rate_delay = 1s",
       "t_destination_recipient_limit = 1"]


def order_of(server):
    """Of the message that has one recipient at u.test, the last one. Two processes deliver: one may log much later than the other."""
    server.wait_log("to=<b", seconds=30)
    server.wait_log("to=<z@u.test>", seconds=30)
    return "".join(re.findall(r"to=<([bz])", server.log()))


def start(make_instance, *main, minimum=1):
    return make_instance(BASE + [maps("{t.test = t:}", "{u.test = u:}"), *FEW, f"qmgr_message_recipient_minimum = {minimum}", *main],
                         [ROW.format("t"), ROW.format("u")])


@pytest.mark.parametrize("prefix", ["default", "t"])
@pytest.mark.parametrize("delay, orders", [("2s", ("bbz", "bbbz")), ("100s", ("bbbbz",))])
def test_refill_delay(make_instance, prefix, delay, orders):
    """default_recipient_refill_delay, <transport>_recipient_refill_delay: more is read when the last time was so long ago, though less than
    the refill limit."""
    server = start(make_instance, "t_recipient_limit = 4", f"{prefix}_recipient_refill_delay = {delay}")
    submit(server, *[f"b{number}@t.test" for number in range(4)], "z@u.test")
    assert order_of(server) in orders


LIMITS = [(["{}_recipient_limit = 1"], "bbbbz"), (["{}_recipient_limit = 1000"], "bz"),
          (["t_recipient_limit = 4", "{}_recipient_refill_limit = 1"], "bz"), (["t_recipient_limit = 4", "{}_recipient_refill_limit = 2"], "bbz")]


@pytest.mark.parametrize("prefix", ["default", "t"])
@pytest.mark.parametrize("settings, order", LIMITS)
def test_recipients_in_memory(make_instance, prefix, settings, order):
    """default_recipient_limit, <transport>_recipient_limit, default_recipient_refill_limit, <transport>_recipient_refill_limit."""
    server = start(make_instance, *[setting.format(prefix) for setting in settings])
    submit(server, *[f"b{number}@t.test" for number in range(4)], "z@u.test")
    # Both are given out in one turn, so either may be done first.
    assert order_of(server) in (order, "zb" if order == "bz" else order)


@pytest.mark.parametrize("minimum", [1, 5])
def test_recipients_of_each_message(make_instance, minimum):
    """qmgr_message_recipient_minimum goes before the limits."""
    server = start(make_instance, "t_recipient_limit = 1", minimum=minimum)
    submit(server, *[f"b{number}@t.test" for number in range(4)], "z@u.test")
    assert (len(order_of(server)) < 4) == (minimum == 5)


@pytest.mark.parametrize("prefix", ["default", "t"])
@pytest.mark.parametrize("extra, order", [(0, "bbbbz"), (100, "bzbbb")])
def test_extra_recipients_for_who_overtakes(make_instance, prefix, extra, order):
    """default_extra_recipient_limit, <transport>_extra_recipient_limit: a message that overtook reads on where there is no room for others."""
    server = start(make_instance, "t_recipient_limit = 3", "t_recipient_refill_limit = 1", "t_delivery_slot_cost = 1",
                   "t_delivery_slot_loan = 30", "t_minimum_delivery_slots = 1", f"{prefix}_extra_recipient_limit = {extra}")
    submit(server, *[f"a{number}@t.test" for number in range(14)])
    server.wait_log("to=<a1@t.test>")
    submit(server, *[f"b{number}@t.test" for number in range(4)], "z@u.test")
    server.wait_log("to=<b3@t.test>", seconds=30)
    assert order_of(server) == order


def write_queue_file(server, head, content, count):
    """Into incoming, as cleanup leaves it: the envelope up to M, and the content, of that many recipients."""
    size = b" ".join(b"%15d" % n for n in (len(content), 97 + len(head), count, 0, len(content), 0))
    os.makedirs(f"{server.queue}/incoming", 0o700, exist_ok=True)
    temporary = f"{server.queue}/incoming/tmp"
    with open(temporary, "wb") as file:
        file.write(b"C\x5f" + size + head + content + record(b"X") + record(b"E"))
    os.chmod(temporary, 0o700)
    os.rename(temporary, f"{server.queue}/incoming/12345{os.stat(temporary).st_ino:X}")


def put_list(server, count, domains):
    """A message as cleanup leaves it, with so many recipients."""
    content = record(b"N", b"Subject: list") + record(b"N") + record(b"N", b"x" * 70)
    head = [record(b"T", b"%d 0" % time.time()), record(b"A", b"rewrite_context=local"), record(b"S", b"list@a.test")]
    for number in range(count):
        address = b"r%d@d%d.test" % (number, number % domains)
        head += [record(b"O", address), record(b"R", address)]
    head = b"".join(head) + record(b"M")
    write_queue_file(server, head, content, count)


def log_from(server, offset):
    with open(server.log_path, "rb") as file:
        file.seek(offset)
        return file.read()


def large_list(make_instance, count):
    """Each recipient is a delivery of its own, in `count` / 100 domains; meanwhile single messages come for one of these, one after another."""
    server = make_instance(BASE + ["default_transport = discard:", "default_destination_recipient_limit = 1", "in_flow_delay = 0"], start=False)
    put_list(server, count, count // 100)
    began = time.monotonic()
    server.start()
    server.wait_log(r"to=<r\d+@", seconds=60)
    waits = []
    while len(waits) < 100 and time.monotonic() - began < 60:
        sent, size = time.monotonic(), os.path.getsize(server.log_path)
        submit(server, f"single{len(waits)}@d{len(waits)}.test")
        wait_until(lambda: f"to=<single{len(waits)}@".encode() in log_from(server, size), 60, "the single message")
        waits.append(time.monotonic() - sent)
    wait_until(lambda: log_from(server, 0).count(b"to=<r") == count, 170, "the list")
    size = resident_mb(server.processes("qmgr")[0])
    print(f"\n{count} recipients in {time.monotonic() - began:.1f} s; qmgr at most {size:.0f} MB; "
          f"{len(waits)} single messages beside it: median {sorted(waits)[len(waits) // 2]:.3f} s, longest {max(waits):.3f} s")
    return size, waits


def test_a_list_of_20000(make_instance):
    size, waits = large_list(make_instance, 20000)
    assert size < 60 and max(waits) < 5


@pytest.mark.soak
def test_a_list_of_200000(make_instance):
    """Ten times as long, and no more memory than a transport may take."""
    size, waits = large_list(make_instance, 200000)
    assert size < 100 and max(waits) < 10
