"""Warnings of a destination that fills the active queue; their words are compared in scenario/qmgr/clog_*."""
import time

import pytest

from fake_smtp import HANG, FakeSMTP
from test_parameters import BASE, maps, submit


@pytest.mark.parametrize("interval, least, most", [("0", 0, 0), ("300s", 1, 1), ("1s", 2, 3)])
def test_warnings_of_a_clogged_queue(make_instance, interval, least, most):
    """qmgr_clog_warn_time: how far apart, 0 is never. More than a fifth of qmgr_message_active_limit is too much."""
    slow = FakeSMTP("127.0.0.1", greeting=HANG)
    server = make_instance(BASE + [maps(f"{{t.test = smtp:[127.0.0.1]:{slow.port}}}"), "qmgr_message_active_limit = 20",
                                   f"qmgr_clog_warn_time = {interval}"])
    try:
        submit(server, "x@t.test", count=4)
        server.wait_log("queue active", count=4)
        time.sleep(0.3)
        assert "is using up" not in server.log()
        for count in range(2):
            submit(server, "x@t.test", count=2)
            server.wait_log("queue active", count=6 + 2 * count)
            time.sleep(1.2 if count == 0 else 0.3)
        assert least <= server.log().count("is using up") <= most
    finally:
        slow.drop_connections()
        slow.close()
