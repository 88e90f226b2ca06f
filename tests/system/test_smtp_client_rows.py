"""What the row of a client in master.cf says (flags=), best_mx_transport, lmtp_assume_final."""
import contextlib
import re

import pytest

from fake_dns import FakeDNS
from fake_smtp import FakeSMTP
from instance import USER

MAIN = ["myhostname = mx.lab.test", "mydestination = lab.test", "smtpd_peername_lookup = no", "inet_interfaces = 127.0.0.1",
        "service_throttle_time = 1s", "minimal_backoff_time = 300s"]
SMTP_ROW = "smtp      unix  -       -       n       -       -       smtp"


@pytest.fixture
def world(make_instance):
    """make(main, ...): an instance for which we.test's only exchanger is this machine."""
    with contextlib.ExitStack() as stack:
        def make(*main, master=(), replace=()):
            dns = stack.enter_context(contextlib.closing(FakeDNS()))
            dns.mx("we.test", (10, "mx.we.test"))
            dns.address("mx.we.test", "127.0.0.1")
            return make_instance([*MAIN, f"dns_servers = 127.0.0.1:{dns.port}", *main], master, replace=list(replace))
        yield make


def submit(server, *recipients, sender="s@a.test", rcpt_options=()):
    with server.smtp() as client:
        client.sendmail(sender, recipients, b"Subject: x\r\n\r\nx\r\n", rcpt_options=list(rcpt_options))


@pytest.mark.parametrize("target, seen", [
    ("", r"smtp\[\d+\]: \w+: to=<{0}>, relay=none, .*dsn=5\.4\.6, status=bounced \(mail for we\.test loops back to myself\)"),
    ("local", r"local\[\d+\]: \w+: to=<{0}>, relay=local, .*status=sent"),
    ("retry:4.2.1 closed", r"error\[\d+\]: \w+: to=<{0}>, relay=none, .*dsn=4\.2\.1, status=deferred \(closed\)"),
])
def test_best_mx_transport_takes_what_would_loop(world, target, seen):
    server = world(f"best_mx_transport = {target}")
    submit(server, f"{USER}@we.test")
    server.wait_log(seen.format(re.escape(f"{USER}@we.test")))
    assert ("passing <" in server.log()) == bool(target)


def test_best_mx_transport_that_leads_back_is_a_loop(world):
    """Postfix goes round until it has no process left."""
    server = world("best_mx_transport = smtp")
    submit(server, "r@we.test")
    server.wait_log(r"to=<r@we\.test>, .*dsn=5\.4\.6, status=bounced \(mail for we\.test loops back to myself\)")
    assert server.log().count("passing <r@we.test> to transport=smtp") == 1


def test_best_mx_transport_that_does_not_exist_puts_off(world):
    server = world("best_mx_transport = nosuch")
    submit(server, "r1@we.test", "r2@we.test")
    for user in ("r1", "r2"):
        server.wait_log(rf"to=<{user}@we\.test>, relay=none, .*dsn=4\.3\.0, status=deferred \(mail transport unavailable\)")


@pytest.mark.parametrize("words, complaint", [("flags=DZO", 'unknown flags=DZO value "Z" in "DZO"'), ("colour=blue", "unknown attribute name: colour=blue")])
def test_words_of_the_row_that_are_unknown_are_fatal(world, words, complaint):
    server = world(replace=[(SMTP_ROW, f"{SMTP_ROW} {words}")])
    submit(server, "r@we.test")
    server.wait_log(re.escape(f"fatal: {complaint}"))


@pytest.mark.parametrize("final, action", [("yes", "delivered"), ("no", "relayed")])
def test_lmtp_assume_final(world, final, action):
    """The notice of success says whether this was the end of the way."""
    with contextlib.closing(FakeSMTP("127.0.0.1", data_end="250 2.0.0 Saved")) as store:
        server = world(f"lmtp_assume_final = {final}", f"transport_maps = inline:{{store.test=lmtp:inet:127.0.0.1:{store.port}}}",
                       "relay_domains = store.test", master=["lmtp unix - - n - - lmtp"])
        submit(server, "r@store.test", sender=f"{USER}@lab.test", rcpt_options=["NOTIFY=SUCCESS"])
        notice = server.wait_mail()[0].decode()
    assert re.search(r"^Action: (\w+)$", notice, re.M)[1] == action
    assert ('instead, specify "flags=X" in master.cf' in server.log()) == (final == "yes")
