"""Connections between private services, seen from the service: how long an unused one stays (ipc_idle), how old one gets (ipc_ttl)."""
import os
import re
import time

import pytest

from instance import USER, wait_until

LONG = "600s"


def connections(server, program, name):
    """Inodes of the connections that clients of a service have to its processes."""
    held = set()
    for pid in server.processes(program):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
            except OSError:
                continue
            held |= {found[1]} if found else set()
    with open("/proc/net/unix", encoding="utf-8") as file:
        rows = [line.split() for line in file][1:]
    return {row[6] for row in rows if row[6] in held and row[5] == "03" and len(row) > 7 and row[7].endswith(name)}


def submit(server):
    with server.smtp() as client:
        client.sendmail("s@a.test", [f"{USER}@lab.test"], b"Subject: x\r\n\r\nx\r\n")


def make(make_instance, *main):
    return make_instance(["mydestination = lab.test", "smtpd_peername_lookup = no", *main])


@pytest.mark.parametrize("idle, stays", [("1s", False), (LONG, True)])
def test_an_unused_connection_between_services_ends(make_instance, idle, stays):
    """ipc_idle."""
    server = make(make_instance, f"ipc_idle = {idle}", f"ipc_ttl = {LONG}")
    with server.smtp() as client:  # the process lives as long as its client
        client.sendmail("s@a.test", [f"{USER}@lab.test"], b"Subject: x\r\n\r\nx\r\n")
        server.wait_log("removed")
        before = connections(server, "cleanup", "public/cleanup")
        assert before
        if stays:
            time.sleep(2.5)
            assert connections(server, "cleanup", "public/cleanup") == before
        else:
            wait_until(lambda: not connections(server, "cleanup", "public/cleanup") & before, 5, "the end of the unused connection")


@pytest.mark.parametrize("ttl, many", [("1s", True), (LONG, False)])
def test_an_old_connection_between_services_is_replaced(make_instance, ttl, many):
    """ipc_ttl."""
    server = make(make_instance, f"ipc_ttl = {ttl}", f"ipc_idle = {LONG}")
    seen = set()
    with server.smtp():
        for number in range(1, 9):
            submit(server)
            server.wait_log("removed", count=number)
            seen |= connections(server, "cleanup", "public/cleanup")
            time.sleep(0.3)
        assert len(server.processes("smtpd")) == 1 and len(server.processes("cleanup")) == 1
    assert (len(seen) > 1) == many, seen
