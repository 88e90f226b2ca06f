"""Which way mail takes when the sender decides, when the next hop is away, and how long a slow server is borne."""
import re
import time

import pytest

from fake_smtp import CLOSE, FakeSMTP
from instance import USER, free_port, wait_until

MAIN = ["myhostname = mx.lab.test", "mydestination = lab.test localhost", "local_recipient_maps =", "mynetworks = 127.0.0.0/8",
        "smtpd_peername_lookup = no", "minimal_backoff_time = 300s", "disable_dns_lookups = yes", "smtp_host_lookup = native",
        "smtp_mail_timeout = 2s"]


@pytest.fixture
def fakes():
    made = []

    def make(**script):
        made.append(FakeSMTP("127.0.0.1", **script))
        return made[-1]
    yield make
    for one in made:
        one.close()


def to(server):
    return f"[127.0.0.1]:{server.port}"


def submit(server, sender, *recipients, text="Subject: x\r\n\r\nbody\r\n"):
    with server.smtp() as client:
        client.sendmail(sender, list(recipients), text)


def senders(server):
    return sorted(re.search("<(.*?)>", c)[1] for c in server.commands if c.startswith("MAIL"))


def test_sender_decides_on_the_relay_host(make_instance, fakes):
    """Whole address before @domain, both before relayhost; DUNNO and transport_maps as Postfix has them."""
    by_user, by_domain, null, rest, table = (fakes() for _ in range(5))
    server = make_instance([*MAIN, f"relayhost = {to(rest)}",
                            "sender_dependent_relayhost_maps = inline:{ {u@a.test=%s} {@a.test=%s} {no@a.test=DUNNO} {NULL=%s} }"
                            % (to(by_user), to(by_domain), to(null)),
                            "empty_address_relayhost_maps_lookup_key = NULL",
                            "transport_maps = inline:{table.test=smtp:%s}" % to(table)])
    for sender in ("u@a.test", "v@a.test", "no@a.test", "", "x@b.test"):
        submit(server, sender, "r@there.test")
    submit(server, "u@a.test", "r@table.test")
    server.wait_log("status=sent", count=6)
    assert [senders(s) for s in (by_user, by_domain, null, rest, table)] == \
        [["u@a.test"], ["v@a.test"], [""], ["no@a.test", "x@b.test"], ["u@a.test"]]


def test_sender_decides_on_the_transport(make_instance, fakes):
    """A transport without next hop leaves relayhost; for the default class alone."""
    relay, other, null = fakes(), fakes(), fakes()
    server = make_instance([*MAIN, f"relayhost = {to(relay)}", "relay_domains = relay.test",
                            "sender_dependent_default_transport_maps = inline:{ {u@a.test=second:} {@b.test=smtp:%s} {@c.test=discard:gone} {NULL=smtp:%s} }"
                            % (to(other), to(null)), "empty_address_default_transport_maps_lookup_key = NULL"],
                           ["second unix - - n - - smtp -o smtp_helo_name=second.test"])
    for sender in ("u@a.test", "u@b.test", "u@c.test", ""):
        submit(server, sender, "r@there.test")
    submit(server, "u@c.test", "r@relay.test")
    server.wait_log("status=sent", count=5)
    assert [senders(s) for s in (relay, other, null)] == [["u@a.test", "u@c.test"], ["u@b.test"], [""]]
    assert "EHLO second.test" in relay.commands
    server.wait_log(r"relay=none, .*status=sent \(gone\)")


def test_table_trouble_of_the_sender_defers(make_instance):
    server = make_instance([*MAIN, "relayhost = [127.0.0.1]:1", "transport_retry_time = 1s"], start=False)
    server.configure([f"sender_dependent_relayhost_maps = fail:x"])
    server.start()
    try:
        submit(server, "u@a.test", "r@there.test")
    except Exception as error:  # refused at once is as good: nothing was promised
        assert "45" in str(error)
        return
    server.wait_log("status=deferred")


def test_fallback_relay_takes_what_nobody_takes_now(make_instance, fakes):
    busy, refusing, fallback, second = fakes(rcpt="450 4.2.0 busy"), fakes(rcpt="550 5.1.1 nobody"), fakes(greeting=CLOSE), fakes()
    server = make_instance([*MAIN, f"smtp_fallback_relay = {to(fallback)}, {to(second)}",
                            "transport_maps = inline:{ {away.test=smtp:[127.0.0.1]:%d} {busy.test=smtp:%s} {no.test=smtp:%s} {unknown.test=smtp:[nosuch.invalid]} }"
                            % (free_port(), to(busy), to(refusing))])
    for domain in ("away", "busy", "no", "unknown"):
        submit(server, f"{USER}@lab.test", f"r@{domain}.test")
    for domain in ("away", "busy", "unknown"):
        server.wait_log(rf"to=<r@{domain}\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:{second.port}, .*status=sent")
    server.wait_log(r"to=<r@no\.test>.*status=bounced")
    assert fallback.connections and len(senders(second)) == 3


def test_all_fallbacks_away_is_later(make_instance):
    server = make_instance([*MAIN, f"smtp_fallback_relay = [127.0.0.1]:{free_port()}",
                            "transport_maps = inline:{unknown.test=smtp:[nosuch.invalid]}"])
    submit(server, f"{USER}@lab.test", "r@unknown.test")
    server.wait_log(r"to=<r@unknown\.test>, relay=none, .*dsn=4\.4\.1, status=deferred \(connect to 127\.0\.0\.1")


def slow_reader(rate):
    """A server that reads the text at so many bytes a second."""
    def act(_argument, connection):
        connection.say("354 go")
        received = connection.received
        connection.received = b""
        while b"\r\n.\r\n" not in received[-4096 - 5:]:
            data = connection.socket.recv(max(1, rate // 20))
            if not data:
                return CLOSE
            received += data
            time.sleep(0.05)
        return "250 2.0.0 Ok: queued as SLOW"
    return act


def test_a_deadline_for_the_request_ends_what_is_slower_than_the_least_rate(make_instance, fakes):
    """smtp_per_request_deadline, smtp_min_data_rate."""
    text = "Subject: x\r\n\r\n" + ("x" * 998 + "\r\n") * 6000
    outcomes = {}
    for name, main in {"patient": [], "strict": ["smtp_per_request_deadline = yes", "smtp_min_data_rate = 100000000"],
                       "fair": ["smtp_per_request_deadline = yes", "smtp_min_data_rate = 10000"]}.items():
        slow = fakes(data=slow_reader(600000))
        server = make_instance([*MAIN, f"relayhost = {to(slow)}", "message_size_limit = 20000000", "smtp_data_xfer_timeout = 3s",
                                "smtp_data_done_timeout = 20s", *main])
        submit(server, f"{USER}@lab.test", "r@there.test", text=text)
        outcomes[name] = server
    assert "status=sent" in outcomes["patient"].wait_log(r"to=<r@there.test>.*", 30)[0]
    assert "timed out while sending message body" in outcomes["strict"].wait_log(r"to=<r@there.test>.*", 30)[0]
    assert "status=sent" in outcomes["fair"].wait_log(r"to=<r@there.test>.*", 30)[0]


def test_relay_row_with_a_name_of_its_own(make_instance, fakes):
    peer = fakes()
    server = make_instance([*MAIN, "relay_domains = relay.test", f"relayhost = {to(peer)}"],
                           replace=[("relay     unix  -       -       n       -       -       smtp",
                                     "relay unix - - n - - smtp\n  -o syslog_name=${multi_instance_name?{$multi_instance_name}:{postfix}}/$service_name")])
    submit(server, "s@a.test", "r@relay.test")
    server.wait_log(r"postfix/relay/smtp\[\d+\]: [0-9A-F]+: to=<r@relay\.test>.*status=sent")
