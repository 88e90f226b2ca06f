"""Parameters of the queue manager that no other test shows: each test shows a difference."""
import contextlib
import os
import re
import signal
import socket
import time

from fake_smtp import FakeSMTP
from instance import USER, free_port
from verify_lab import hesitant_server, rcpt, started

TOO_MANY = "dsn=4.3.2, status=undeliverable (Too many address verification requests)"


def test_probes_beyond_the_limit_do_not_wait(make_instance):
    """address_verify_pending_request_limit: one probe hangs; the second is put off, or, with the default, asks the server as well."""

    def ask(address):
        assert rcpt(mail, address).startswith("450 4.1.1 ")

    with hesitant_server() as (server, hold):
        mail = started(make_instance, server, "address_verify_poll_count = 1", "address_verify_pending_request_limit = 1")
        ask("slow1@far.test")
        mail.wait_log("from=<double-bounce@", count=1)
        ask("quick1@far.test")
        mail.wait_log(re.escape(TOO_MANY))
        hold.set()
        mail.wait_log("to=<slow1@far.test>.*status=deliverable")
        mail.wait_log("qmgr.*: removed", count=2)
        ask("quick2@far.test")
        mail.wait_log("to=<quick2@far.test>.*status=deliverable")
        hold.clear()
        mail.configure(["address_verify_pending_request_limit = 5000"])
        mail.reload()
        ask("slow2@far.test")
        ask("quick3@far.test")
        mail.wait_log("to=<quick3@far.test>.*status=deliverable")
        assert len(re.findall(re.escape(TOO_MANY), mail.log())) == 1
        hold.set()


def submit(mail, user=USER):
    with mail.smtp() as client:
        client.sendmail("s@a.test", [f"{user}@lab.test"], b"Subject: x\r\n\r\nx\r\n")


def qmgr_pid(mail):
    return int(re.findall(r"/qmgr\[(\d+)\]", mail.log())[-1])


def test_the_queue_manager_has_a_watchdog_of_its_own(make_instance):
    """qmgr_daemon_timeout: a queue manager that stood still for 2 s goes on, and with a limit of 1 s ends."""
    mail = make_instance(["mydestination = lab.test", "service_throttle_time = 1s"])
    for count, ends in enumerate((False, True), 1):
        submit(mail)
        mail.wait_log("qmgr.*: removed", count=count)
        pid = qmgr_pid(mail)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(2)
        os.kill(pid, signal.SIGCONT)
        if ends:
            mail.wait_log(f"qmgr pid {pid} killed by signal 14")
        mail.configure(["qmgr_daemon_timeout = 1s"])
        mail.reload()
    submit(mail)
    mail.wait_log("qmgr.*: removed", count=3)
    assert mail.log().count("killed by signal 14") == 1


def test_the_queue_manager_has_a_time_limit_of_its_own(make_instance):
    """qmgr_ipc_timeout: how long it waits for a resolver that says nothing; ipc_timeout is not asked."""
    mail = make_instance(["ipc_timeout = 1s", "qmgr_ipc_timeout = 3s"])
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as silent:
        silent.bind(f"{mail.directory}/queue/private/silent")
        silent.listen()
        mail.configure(replace=[(" qmgr\n", " qmgr -o rewrite_service_name=silent\n")])
        mail.reload()
        began = time.monotonic()
        submit(mail)
        mail.wait_log("qmgr.*warning: .* rewrite service is not available: Connection timed out")
        assert 2.5 < time.monotonic() - began < 15


def verp_senders(make_instance, *main):
    """Senders of two recipients' mail, and recipients of the notices, that a refusing server and a maildir have met."""
    with contextlib.closing(FakeSMTP("127.0.0.5", free_port(), rcpt="550 5.1.1 no")) as server:
        mail = make_instance(["mydestination = lab.test", "recipient_delimiter = +-", f"relayhost = [{server.host}]:{server.port}", *main])
        mail.sendmail("Subject: x\n\nx\n", "-XV", "-f", f"{USER}@lab.test", "u1@far.test", "u2@far.test")
        mail.wait_log("status=bounced", count=2)
        mail.wait_empty()
        asked = {line for c in server.connections for line in c.commands if line.startswith("MAIL")}
        return {re.search("<(.*)>", line)[1] for line in asked}, sorted(re.findall(r" to=<(\S+)>, .*status=sent", mail.log()))


def test_verp_delimiters_and_notices(make_instance):
    """default_verp_delimiters, disable_verp_bounces."""
    plus = [f"{USER}+u{i}=far.test@lab.test" for i in (1, 2)]
    minus = [f"{USER}-u{i}=far.test@lab.test" for i in (1, 2)]
    assert verp_senders(make_instance) == (set(plus), plus)
    assert verp_senders(make_instance, "default_verp_delimiters = -=") == (set(minus), minus)
    assert verp_senders(make_instance, "disable_verp_bounces = yes") == (set(plus), [f"{USER}@lab.test"])
