"""Tables that rewrite status code and text of what came out: default_delivery_status_filter and those of the clients."""
import pytest

from local_lab import LocalLab

FILTER = "/^5\\.\\S+ (.*)/ 4.7.9 later: $1\n/^2\\.0\\.0 (.*)/ 2.1.5 well: $1\n/^4\\.4\\.1 / 5.4.1 given up\n"


@pytest.fixture
def lab():
    made = LocalLab()
    made.write(f"{made.server.etc}/filter", FILTER)
    yield made
    made.server.destroy()


def send(lab, *recipients):
    with lab.server.smtp() as client:
        client.sendmail("<>", recipients, "Subject: x\r\n\r\nx\r\n")


def started(lab, parameter, *main):
    lab.start(f"{parameter} = regexp:{lab.server.etc}/filter", "smtpd_reject_unlisted_recipient = no", *main)


def test_default_filter_is_for_all_agents(lab):
    started(lab, "default_delivery_status_filter",
            "transport_maps = inline:{ {e.test=error:5.7.1 no} {s.test=smtp:[127.0.0.1]:1} {l.test=lmtp:inet:127.0.0.1:1} }")
    for domain in "esl":
        lab.server.sendmail("Subject: x\n\nx\n", "-i", "-f", "<>", f"x@{domain}.test")
    lab.send("nosuch")
    lab.logs(r"to=<x@e.test>, relay=none, .*dsn=5.7.1, status=bounced \(no\)")  # not an agent that tried
    lab.logs(r"to=<x@s.test>, relay=none, .*dsn=5.4.1, status=bounced \(given up\)")
    lab.logs(r"to=<x@l.test>, relay=none, .*dsn=5.4.1, status=bounced \(given up\)")
    lab.logs(r"to=<nosuch@\S+>, relay=local, .*dsn=4.7.9, status=deferred \(later: unknown user")


def only(lab, parameter, client, other):
    started(lab, parameter,
            f"transport_maps = inline:{{ {{mine.test={client}:[127.0.0.1]:1}} {{theirs.test={other}:[127.0.0.1]:1}} }}")
    send(lab, "x@mine.test", "x@theirs.test")
    lab.logs(r"to=<x@mine.test>, relay=none, .*dsn=5.4.1, status=bounced \(given up\)")
    lab.logs(r"to=<x@theirs.test>, relay=none, .*dsn=4.4.1, status=deferred")


def test_filter_of_smtp(lab):
    only(lab, "smtp_delivery_status_filter", "smtp", "lmtp")


def test_filter_of_lmtp(lab):
    only(lab, "lmtp_delivery_status_filter", "lmtp", "smtp")
