"""The order and pace of deliveries: pauses, windows, and small messages that overtake large ones. Each transport is a row of master.cf that discards,
so that only qmgr's decisions take time."""
import re
import time

import pytest

from instance import Stopped
from test_parameters import BASE, Peer, maps, most_open, submit

BIG, SMALL = 8, 4  # recipients, each of a domain of its own
# With these the small message goes first; each of ROWS changes that.
OVERTAKES = {"delivery_slot_cost": 2, "delivery_slot_discount": 100, "delivery_slot_loan": 0, "minimum_delivery_slots": 1}
ROWS = [({}, True), ({"delivery_slot_cost": 0}, False), ({"delivery_slot_discount": 0}, False),
        ({"delivery_slot_discount": 0, "delivery_slot_loan": 4}, True), ({"minimum_delivery_slots": 100}, False)]


def discards(name):
    return f"{name} unix - - n - - discard"


def submit_both(server, name):
    """A large message whose deliveries take a second each, and then a small one."""
    submit(server, *[f"x@big{number}.{name}.test" for number in range(BIG)])
    server.wait_log(rf"to=<x@big\d\.{name}\.test>")
    submit(server, *[f"x@small{number}.{name}.test" for number in range(SMALL)])


def small_went_first(server, name):
    server.wait_log(rf"to=<x@\w+\.{name}\.test>.*status=sent", count=BIG + SMALL, seconds=40)
    return re.findall(rf"to=<x@(big|small)\d\.{name}\.test>", server.log())[-1] == "big"


def settings(prefix, row):
    return [f"{prefix}_{name} = {value}" for name, value in {**OVERTAKES, **row}.items()]


def test_who_overtakes_by_transport(make_instance):
    """<transport>_delivery_slot_cost, _delivery_slot_discount, _delivery_slot_loan, _minimum_delivery_slots."""
    main, names = [], [f"t{number}" for number in range(len(ROWS))]
    for name, (row, _) in zip(names, ROWS):
        main += [*settings(name, row), f"{name}_transport_rate_delay = 1s"]
    server = make_instance(BASE + [maps(*[f"{{.{name}.test = {name}:}}" for name in names]), *main], [discards(name) for name in names])
    for name in names:
        submit_both(server, name)
    assert [small_went_first(server, name) for name in names] == [first for _, first in ROWS]


def test_who_overtakes_by_default(make_instance):
    """default_delivery_slot_cost, default_delivery_slot_discount, default_delivery_slot_loan, default_minimum_delivery_slots."""
    servers = [make_instance(BASE + [maps("{.t.test = t:}"), "t_transport_rate_delay = 1s", *settings("default", row)], [discards("t")])
               for row, _ in ROWS]
    for server in servers:
        submit_both(server, "t")
    assert [small_went_first(server, "t") for server in servers] == [first for _, first in ROWS]


def seconds_for(server, *recipients):
    """After a first message, for which the processes start."""
    submit(server, "x@warm.t.test")
    server.wait_log(r"to=<x@warm\.t\.test>.*status=sent")
    begin = time.monotonic()
    for recipient in recipients:
        submit(server, recipient)
    server.wait_log(r"to=<[^>]*>.*status=sent", count=1 + len(recipients))
    return time.monotonic() - begin


@pytest.mark.parametrize("name, same, other", [
    ("default_destination_rate_delay", True, False), ("t_destination_rate_delay", True, False),
    ("default_transport_rate_delay", True, True), ("t_transport_rate_delay", True, True)])
def test_pauses_between_deliveries(make_instance, name, same, other):
    """A pause is made between deliveries to the same domain; of a transport, between those to any."""
    for domains, waits in ((["a", "a", "a"], same), (["a", "b", "c"], other)):
        server = make_instance(BASE + [maps("{.t.test = t:}"), f"{name} = 3s"], [discards("t")])
        took = seconds_for(server, *[f"x@{domain}.t.test" for domain in domains])
        assert (took >= 6) == waits, (domains, took)
    server = make_instance(BASE + [maps("{.t.test = t:}")], [discards("t")])
    assert seconds_for(server, "x@a.t.test", "x@a.t.test", "x@a.t.test") < 6


def test_windows_grow_by_positive_feedback(make_instance):
    """default_destination_concurrency_positive_feedback, <transport>_destination_concurrency_positive_feedback."""
    widths = {}
    for prefix in ("default", "t"):
        for feedback in ("0", "1", "0.1 / concurrency"):
            peer = Peer(delays={".": 0.4})
            server = make_instance(BASE + [maps(f"{{t.test = t:[127.0.0.1]:{peer.port}}}"), "initial_destination_concurrency = 1",
                                           f"{prefix}_destination_concurrency_positive_feedback = {feedback}"], ["t unix - - n - - smtp"])
            widths[prefix, feedback] = most_open(server, peer, "t.test", 6) > 1
    assert widths == {(prefix, feedback): feedback == "1" for prefix in ("default", "t") for feedback in ("0", "1", "0.1 / concurrency")}


@pytest.mark.parametrize("prefix", ["default", "t"])
def test_windows_shrink_by_negative_feedback(make_instance, prefix):
    """default_destination_concurrency_negative_feedback and <transport>_...: twelve deliveries fail, four at a time or fewer and
    fewer. Nothing is ever dead, by <transport>_destination_concurrency_failed_cohort_limit."""
    slow = {}
    for feedback in ("0", "1"):
        peer = Peer(delays={"EHLO": 0.8}, replies={"EHLO": "421 4.3.2 not now", "HELO": "421 4.3.2 not now"})
        server = make_instance(BASE + [maps(f"{{t.test = t:[127.0.0.1]:{peer.port}}}"), "initial_destination_concurrency = 4",
                                       f"{prefix}_destination_concurrency_negative_feedback = {feedback}",
                                       "t_destination_concurrency_failed_cohort_limit = 0"], ["t unix - - n - - smtp"])
        with Stopped(server, "qmgr"):
            submit(server, "x@t.test", count=12)
        begin = time.monotonic()
        server.wait_log("to=<x@t.test>.*status=deferred", count=12)
        slow[feedback] = time.monotonic() - begin > 4.8  # 2.4 s and 7.2 s on an idle machine
        assert "suspended" not in server.log()
    assert slow == {"0": False, "1": True}


@pytest.mark.parametrize("domain", ["", "other.test"])
def test_next_hop_of_a_filter(make_instance, domain):
    """default_filter_nexthop: the recipient's domain when it is empty."""
    server = make_instance(BASE + ["content_filter = discard:", f"default_filter_nexthop = {domain}"])
    submit(server, "x@far.test")
    assert server.wait_log(r"to=<x@far.test>.*status=sent \(([^)]*)\)").group(1) == (domain or "far.test")


def test_feedback_is_logged_when_asked(make_instance):
    """destination_concurrency_feedback_debug."""
    lines = {}
    for setting in ("no", "yes"):
        server = make_instance(BASE + [maps("{.t.test = t:}"), f"destination_concurrency_feedback_debug = {setting}"], [discards("t")])
        submit(server, "x@a.t.test")
        server.wait_log("status=sent")
        server.wait_log(": removed")
        lines[setting] = re.findall(r"qmgr_queue_unthrottle: queue a\.t\.test: limit 20 window \d+", server.log())
    assert lines == {"no": [], "yes": ["qmgr_queue_unthrottle: queue a.t.test: limit 20 window 6"]}
