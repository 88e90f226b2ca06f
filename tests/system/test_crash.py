"""Nothing that was acknowledged is lost, whatever process dies."""
import itertools
import os
import signal
import threading
import time

import pytest

from instance import USER, free_port, wait_until
from ledger import Ledger, compare

DAEMONS = ["smtpd", "cleanup", "qmgr", "trivial-rewrite", "local", "bounce", "smtp", "virtual", "discard", "error", "pickup", "showq"]
AT_WORK = ["smtpd", "cleanup", "qmgr", "trivial-rewrite", "local"]
SETTINGS = ["service_throttle_time = 1s", "smtpd_peername_lookup = no", "minimal_backoff_time = 1s", "maximal_backoff_time = 2s",
            "queue_run_delay = 1s", "transport_retry_time = 1s", "local_destination_concurrency_limit = 10", "ipc_timeout = 20s"]


class Killer(threading.Thread):
    """Kills one daemon after another, all processes of it, every `pause` seconds."""

    def __init__(self, instance, pause=0.3):
        super().__init__()
        self.instance, self.pause = instance, pause
        self.kills = dict.fromkeys(DAEMONS, 0)
        self.over = threading.Event()

    def run(self):
        for daemon in itertools.cycle(DAEMONS):
            pids = self.instance.processes(daemon)
            # One that does not run now costs no turn.
            if self.over.wait(self.pause if pids else 0.001):
                return
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                    self.kills[daemon] += 1
                except ProcessLookupError:
                    pass


def storm(make_instance, count, sessions, pause):
    server = make_instance(SETTINGS)
    killer = Killer(server)
    killer.start()
    start = time.monotonic()
    try:
        ledger = Ledger(server.port, count, sessions, f"{USER}@localhost", pause=pause).run()
    finally:
        killer.over.set()
        killer.join()
    sent = time.monotonic() - start
    assert len(ledger.acknowledged) == count, ledger.refused[-5:]

    def everything_is_there():
        lost, _, _ = compare(ledger, server.mailbox())
        return not lost
    try:
        wait_until(everything_is_there, 90, "the acknowledged messages")
    except AssertionError:
        pass
    lost, damaged, extra = compare(ledger, server.mailbox())
    print(f"{count} acknowledged in {sent:.0f} s, {sum(killer.kills.values())} processes killed {killer.kills}, "
          f"{ledger.repeats} repeats; lost {len(lost)}, damaged {len(damaged)}, extra copies {extra}")
    assert not damaged
    assert not lost, (lost[:5], server.log()[-5000:])
    assert all(killer.kills[daemon] > 0 for daemon in AT_WORK)


def test_daemons_killed_in_turn_lose_nothing(make_instance):
    storm(make_instance, 600, 20, 0.4)


def test_mail_that_nobody_announced_is_found_after_a_crash(make_instance):
    """cleanup may die between its commit and its word to qmgr: the file in incoming does not wait for minutes."""
    port = free_port()
    server = make_instance([f"transport_maps = inline:{{refused.test=smtp:[127.0.0.1]:{port}}}"])
    with server.smtp() as client:
        client.sendmail("s@a.test", ["x@refused.test"], "Subject: x\r\n\r\nx\r\n")
    path = wait_until(lambda: [os.path.join(d, f) for d, _, files in os.walk(f"{server.queue}/deferred") for f in files],
                      what="a deferred file")[0]
    os.rename(path, f"{server.queue}/incoming/{os.path.basename(path)}")
    for pid in server.processes("cleanup"):
        os.kill(pid, signal.SIGKILL)
    server.wait_log(rf"{os.path.basename(path)}: from=<s@a\.test>.*queue active", 10, count=2)


@pytest.mark.soak
def test_daemons_killed_in_turn_lose_nothing_of_five_thousand(make_instance):
    storm(make_instance, 5000, 20, 0.15)
