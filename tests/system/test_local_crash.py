"""A crash between the members of a list and the mark that its recipient is done: nobody is left out, and twice it comes only to those
who had it already."""
import os
import re

import pytest

from instance import wait_until
from test_many_maildirs import QUICK

BOXES = 5


@pytest.fixture
def listed(make_instance):
    """start(fault) gives an instance with a list of five mailboxes, and how many messages each has."""
    def start(fault):
        server = make_instance(start=False)
        folder = f"{server.directory}/boxes"
        paths = [f"{folder}/box{n}" for n in range(BOXES)]
        os.mkdir(folder)
        for path in paths:
            with open(path, "w", encoding="utf-8"):
                pass
        with open(f"{server.etc}/list", "w", encoding="utf-8") as file:
            file.write(f"list: {', '.join(paths)}\n")
        server.configure([f"alias_maps = texthash:{server.etc}/list", "mailbox_delivery_lock = fcntl", "local_recipient_maps =",
                          "transport_retry_time = 1s", *QUICK, f"virtual_mailbox_base = {folder}",
                          "virtual_mailbox_maps = inline:{u@box.test=u/}"])
        server.environment = {"POSTHOUSE_FAULT": fault, "POSTHOUSE_FAULT_PROGRAM": "local"}
        server.start()

        def counts():
            found = []
            for path in paths:
                with open(path, encoding="utf-8") as file:
                    found.append(len(re.findall(r"^From s@a\.test ", file.read(), re.M)))
            return found
        return server, counts
    return start


# The n-th box is written, and not synced yet; behind the fifth comes the mark, the sixth write.
@pytest.mark.parametrize("fault, twice", [(f"crash@fsync:{n}", n) for n in range(1, BOXES + 1)] + [("crash@write:6", BOXES)])
def test_a_crash_between_the_members_of_a_list(listed, fault, twice):
    server, counts = listed(fault)
    with server.smtp() as client:
        client.sendmail("s@a.test", ["list@localhost", "u@box.test"], "Subject: x\r\n\r\nbody\r\n")
    server.wait_log(r"to=<u@box\.test>.*status=sent")
    server.wait_log(r"process \S*local.* killed by signal 9")
    assert counts() == [1] * twice + [0] * (BOXES - twice)
    # The mark of the other recipient comes after its log line.
    wait_until(lambda: [r["address"] for q in server.queued() for r in q["recipients"]] == ["list@localhost"], what="one recipient that is left")
    server.crash()
    server.environment = {}
    server.start()
    server.wait_empty()
    assert counts() == [2] * twice + [1] * (BOXES - twice)
    wait_until(lambda: len(os.listdir(f"{server.directory}/boxes/u/new")) == 1, 5, "the other recipient's message, once")
