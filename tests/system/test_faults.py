"""System calls that fail: the client is told 4xx, nothing half is kept, the service goes on by itself."""
import os
import smtplib

import pytest

from instance import USER, wait_until

QUICK = ["service_throttle_time = 1s", "minimal_backoff_time = 1s", "maximal_backoff_time = 1s", "queue_run_delay = 1s",
         "transport_retry_time = 1s", "smtpd_peername_lookup = no"]


def send(server, subject):
    """The reply code of a message, and its text. Each has a sender of its own: where an address goes is remembered."""
    with server.smtp() as client:
        client.helo("c.test")
        for verb, argument in ((client.mail, f"{subject}@a.test"), (client.rcpt, f"{USER}@localhost")):
            code, text = verb(argument)
            if code >= 400:
                return code, text
        return client.data(f"Subject: {subject}\r\n\r\nbody\r\n")


def subjects(server):
    return [line[9:].decode() for m in server.mailbox() for line in m.split(b"\n\n")[0].split(b"\n") if line.startswith(b"Subject: ")]


@pytest.mark.parametrize("fault", ["fsync:1=EIO", "fsync:1=ENOSPC", "write:3=ENOSPC", "rename:3=ENOSPC"])
def test_cleanup_refuses_what_it_cannot_keep(make_instance, fault):
    """A fault in cleanup: never an acknowledgement without a message, nor a message without one."""
    # Else the postmaster is told, who is the recipient too.
    server = make_instance(QUICK + ["commit_engine = file", "notify_classes ="], start=False)
    server.environment = {"POSTHOUSE_FAULT": fault, "POSTHOUSE_FAULT_PROGRAM": "cleanup"}
    server.start()
    acknowledged, refused = [], []
    for number in range(8):
        code, _ = send(server, f"m{number}")
        assert code == 250 or 400 <= code < 500, code
        (acknowledged if code == 250 else refused).append(f"m{number}")
    wait_until(lambda: set(acknowledged) <= set(subjects(server)), what=f"{acknowledged}\n{server.log()[-3000:]}")
    assert sorted(subjects(server)) == sorted(acknowledged)
    assert len(refused) == 1, refused
    server.wait_log(r"warning: [0-9A-F]+: .*incoming/[0-9A-F]+")


@pytest.mark.parametrize("fault", ["fsync:1=EIO", "write:1=ENOSPC", "rename:1=EIO"])
def test_local_tries_again_after_a_fault(make_instance, fault):
    server = make_instance(QUICK, start=False)
    server.environment = {"POSTHOUSE_FAULT": fault, "POSTHOUSE_FAULT_PROGRAM": "local"}
    server.start()
    assert send(server, "one")[0] == 250
    server.wait_mail(1)
    server.wait_empty()
    assert subjects(server) == ["one"]
    folder = f"{server.directory}/mail/{USER}/tmp"
    assert not os.path.isdir(folder) or os.listdir(folder) == []


@pytest.mark.parametrize("program, call", [("smtpd", 2500), ("cleanup", 2500), ("qmgr", 2500), ("trivial-rewrite", 2200)])
def test_memory_runs_out_in_a_daemon(make_instance, program, call):
    """The process ends, the next one goes on, mail that was acknowledged arrives."""
    server = make_instance(QUICK, start=False)
    server.environment = {"POSTHOUSE_FAULT": f"malloc:{call}=ENOMEM", "POSTHOUSE_FAULT_PROGRAM": program}
    server.start()
    acknowledged = []
    for number in range(200):
        try:
            if send(server, f"m{number}")[0] == 250:
                acknowledged.append(f"m{number}")
        except (OSError, smtplib.SMTPException):
            pass
        if "out of memory" in server.log():
            break
    assert "out of memory" in server.log(), "the fault was not reached"
    assert acknowledged
    wait_until(lambda: set(acknowledged) <= set(subjects(server)), 60, f"{acknowledged}\n{server.log()[-4000:]}")


def test_full_disk_is_said_before_the_message(make_instance):
    """queue_minfree beyond what any disk has: refused at MAIL, with 452."""
    server = make_instance(["queue_minfree = 9000000000000000"])
    with server.smtp() as client:
        client.ehlo("c.test")
        assert client.mail("s@a.test") == (452, b"4.3.1 Insufficient system storage")
