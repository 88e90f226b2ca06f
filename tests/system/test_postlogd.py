"""postlogd: its watchdog."""
import os
import signal
import time

from instance import wait_until
from master_helpers import send_datagram


def say(server):
    """Something that postlogd has to complain about."""
    send_datagram(f"{server.queue}/public/postlog", b"\0")


def stopped_postlogd(server):
    say(server)
    server.wait_log("postlogd.*malformed datagram")
    pid, = server.processes("postlogd")
    os.kill(pid, signal.SIGSTOP)
    return pid


def test_postlogd_has_a_watchdog_of_its_own(make_instance):
    """postlogd_watchdog_timeout: one that stood still for 11 s ends at the limit of 10 s, and goes on with one of 30 s."""
    strict, patient = make_instance(["postlogd_watchdog_timeout = 10s"]), make_instance(["postlogd_watchdog_timeout = 30s"])
    pids = {server: stopped_postlogd(server) for server in (strict, patient)}
    time.sleep(11)
    for pid in pids.values():
        os.kill(pid, signal.SIGCONT)
    strict.wait_log(f"postlogd pid {pids[strict]} killed by signal 14")
    for server in (strict, patient):
        say(server)
        server.wait_log("postlogd.*malformed datagram", count=2)
    wait_until(lambda: strict.processes("postlogd") not in ([], [pids[strict]]), 10, "a new one")
    assert patient.processes("postlogd") == [pids[patient]]
    assert "killed by signal" not in patient.log()
