"""An LMTP server that dies, leaves, hangs or talks nonsense between the replies to the recipients of a message, again and again: nobody
loses anything, and who has got his 250 gets no second copy.

Run as a program (HOST PORT LEDGER SEED) this is the server: a process of its own, so that its death is a real one."""
import collections
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from fake_smtp import CLOSE, HANG, FakeSMTP
from instance import free_port, wait_until

MAIN = ["smtpd_peername_lookup = no", "relay_domains = store.test", "minimal_backoff_time = 1s", "maximal_backoff_time = 2s", "queue_run_delay = 1s",
        "lmtp_destination_concurrency_failed_cohort_limit = 10000", "lmtp_destination_concurrency_limit = 4", "lmtp_data_done_timeout = 6s",
        "lmtp_lhlo_timeout = 2s", "lmtp_mail_timeout = 2s", "lmtp_rcpt_timeout = 2s", "lmtp_data_init_timeout = 2s"]
ROW = "lmtp unix - - n - - lmtp"
FATES = ["takes"] * 60 + ["later"] * 8 + ["leaves"] * 6 + ["hangs"] * 2 + ["babbles"] * 3 + ["closes"] * 3


class Store:
    """What becomes of each recipient is drawn. A 250 is noted and sent under one lock, and death comes under it too: what is noted is on
    its way to the client."""

    def __init__(self, host, port, ledger, seed):
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.life = self.random.randrange(3, 35)  # recipients
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.server = FakeSMTP(host, port, mail=self.begin, rcpt=self.name, data_end=self.take)

    @staticmethod
    def begin(_argument, connection):
        connection.named = []
        return "250 2.1.0 Ok"

    @staticmethod
    def name(argument, connection):
        connection.named.append(re.match(r"TO:<(.*?)>", argument)[1])
        return "250 2.1.5 Ok"

    def take(self, text, connection):
        message = re.search(rb"^Subject: (\w+)", text, re.M)[1].decode()
        for recipient in connection.named:
            end = self.decide(message, recipient, connection)
            if end is not None:
                return end
        return b""

    def decide(self, message, recipient, connection):
        with self.lock:
            fate = self.random.choice(FATES)
            self.life -= 1
            if self.life == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if fate == "takes":
                os.write(self.ledger, f"{message} {recipient}\n".encode())
                connection.say("250 2.0.0 Saved")
            elif fate == "later":
                connection.say("452 4.2.2 full")
            elif fate == "closes":
                connection.say("421 4.3.2 closing")
            elif fate == "babbles":
                connection.say("999 what?")
                return CLOSE
            return {"leaves": CLOSE, "closes": CLOSE, "hangs": HANG}.get(fate)


class Keeper(threading.Thread):
    """Starts the server again when it has died."""

    def __init__(self, port, ledger, seed):
        super().__init__()
        self.arguments, self.seed, self.deaths, self.over = ["127.0.0.1", str(port), ledger], seed, 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            program = subprocess.Popen([sys.executable, __file__, *self.arguments, str(self.seed + self.deaths)])
            while program.poll() is None and not self.over.wait(0.05):
                pass
            program.kill()
            program.wait()
            self.deaths += 1


@pytest.mark.parametrize("seed, recipients, messages", [
    (1, 2, 20), (2, 10, 4), pytest.param(3, 4, 100, marks=pytest.mark.soak), pytest.param(4, 40, 20, marks=pytest.mark.soak)])
def test_a_store_that_dies_between_replies(make_instance, tmp_path, seed, recipients, messages):
    port, ledger = free_port(), str(tmp_path / "ledger")
    keeper = Keeper(port, ledger, seed * 1000)
    server = make_instance([*MAIN, f"transport_maps = inline:{{store.test=lmtp:inet:127.0.0.1:{port}}}"], [ROW])
    keeper.start()
    try:
        for number in range(messages):
            with server.smtp() as client:
                client.sendmail("s@a.test", [f"r{n:02}@store.test" for n in range(recipients)], f"Subject: m{number}\r\n\r\nx\r\n")
        wait_until(lambda: not server.queued(), 300, "an empty queue\n" + server.log()[-2000:])
    finally:
        keeper.over.set()
        keeper.join()
    with open(ledger, encoding="utf-8") as file:
        copies = collections.Counter(file.read().splitlines())
    log = server.log()
    wanted = {f"m{number} r{n:02}@store.test" for number in range(messages) for n in range(recipients)}
    assert set(copies) == wanted, wanted - set(copies)
    assert max(copies.values()) == 1, [name for name, count in copies.items() if count > 1]
    assert log.count("status=sent") == len(wanted) and "status=bounced" not in log
    print(f"\n{keeper.deaths} deaths, {log.count('status=deferred')} deferrals, {len(copies)} copies")
    assert keeper.deaths > 1 and "message may be sent more than once" in log


if __name__ == "__main__":
    Store(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    while True:
        time.sleep(60)
