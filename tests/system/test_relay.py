"""The SMTP client, shown by what fake servers hear and what the log says.

Outcomes and texts are Postfix's (observed on 3.7.11 with the same servers and names), but for servers that do not speak
SMTP at all: their mail is deferred at once."""
import itertools
import os
import re
import smtplib
import socket
import time

import pytest

from fake_dns import A, AAAA, MX, NOERROR, REFUSED, SERVFAIL, FakeDNS
from fake_smtp import CLOSE, ENDLESS, HANG, FakeSMTP, Then, ehlo
from instance import USER, Instance, Stopped, free_port, wait_until

MAIN = [
    "myhostname = mx.lab.test",
    "mydestination = mx.lab.test lab.test",
    "mynetworks = 127.0.0.0/8",
    "smtpd_peername_lookup = no",
    "smtpd_recipient_limit = 1000",
] + [f"smtp_{phase}_timeout = 3s" for phase in ("connect", "helo", "mail", "rcpt", "data_init", "data_xfer", "data_done", "rset", "quit")]
SIMPLE = ehlo("8BITMIME")  # no PIPELINING, no DSN, no SIZE
REFUSES = "nobody listens"
SENT = "250 2.0.0 Ok: queued as FAKE1"
AGAIN = "sending end of data -- message may be sent more than once"


class Relay:
    """An instance whose mail for other domains goes to fake servers."""

    def __init__(self, directory, main=(), transport=lambda port: []):
        self.port = free_port()
        self.dns = FakeDNS()
        self.server = Instance(directory)
        with open(f"{self.server.etc}/transport", "w", encoding="utf-8") as file:
            file.write("a.test discard:\n" + "".join(line + "\n" for line in transport(self.port)))
        self.server.configure(MAIN + [f"smtp_tcp_port = {self.port}", f"dns_servers = 127.0.0.1:{self.dns.port}",
                                      f"transport_maps = texthash:{self.server.etc}/transport"] + list(main))
        self.server.start()

    def close(self):
        self.server.destroy()
        self.dns.close()

    def host(self, domain, address, preference=10, name=None, **script):
        """A mail exchanger of a domain, with a server behind it."""
        name = name or f"mx.{domain}"
        self.dns.mx(domain, (preference, name))
        self.dns.address(name, address)
        return FakeSMTP(address, self.port, **script)

    def send(self, *recipients, sender="s@a.test", text=b"Subject: test\r\n\r\nhello\r\n", mail_options=(), rcpt_options=()):
        """The queue id."""
        with smtplib.SMTP("127.0.0.1", self.server.port, timeout=30) as client:
            client.ehlo("c.test")
            assert client.mail(sender, list(mail_options))[0] == 250
            for recipient in recipients:
                assert client.rcpt(recipient, list(rcpt_options))[0] == 250
            code, said = client.data(text)
            assert code == 250, said
            return said.decode().split()[-1]

    def outcome(self, queue_id, recipient, seconds=60):
        """relay, conn_use, delays, dsn, status, text of the first attempt."""
        match = self.server.wait_log(
            rf" {queue_id}: to=<{re.escape(recipient)}>, relay=(\S+), (?:conn_use=(\d+), )?delay=[\d.]+, delays=([\d./]+), "
            r"dsn=([\d.]+), status=(\w+) \((.*)\)$", seconds)
        return match.groups()

    def queue_file(self, queue, queue_id):
        for folder, _, files in os.walk(f"{self.server.queue}/{queue}"):
            if queue_id in files:
                return os.path.join(folder, queue_id)
        return None

    def removed(self, queue_id):
        self.server.wait_log(rf" {queue_id}: removed")


counter = itertools.count(1)


def new_address():
    number = next(counter)
    return f"127.1.{number // 250}.{number % 250 + 1}"


# --- one table for what servers and name servers can do to one message ---


class Case:
    """`expected`: for each recipient relay ("none", or the number of the server), dsn, status, text. In texts {d} is the domain,
    {1} the first server as host[address], {p} the port of servers. `also`: another log line."""

    def __init__(self, name, *expected, servers=None, dns=None, hop=None, also=None, never=None, **script):
        self.name, self.expected = name, expected
        self.servers = servers if servers is not None else [] if dns else [script]
        self.dns, self.hop, self.also, self.never = dns, hop, also, never
        self.domain = name.replace("_", "-") + ".test"
        self.addresses = [new_address() for _ in self.servers]
        self.fakes, self.queue_id = [], None

    def peer(self, number):
        name = f"mx{number}.{self.domain}" if self.dns != "address" else self.domain
        if self.hop and "{a}" in self.hop:
            name = self.addresses[number - 1]
        return f"{name}[{self.addresses[number - 1]}]"

    def text(self, template, port):
        for number in range(1, len(self.servers) + 1):
            template = template.replace("{%d}" % number, self.peer(number))
        address = self.addresses[-1] if self.addresses else ""
        for name, value in ("{d}", self.domain), ("{p}", str(port)), ("{a}", address), ("QID", self.queue_id or ""):
            template = template.replace(name, value)
        return template

    def transport_line(self, port):
        return f"{self.domain} smtp:{self.text(self.hop, port)}"

    def make(self, relay):
        for number, (script, address) in enumerate(zip(self.servers, self.addresses), 1):
            if self.dns == "address":
                relay.dns.address(self.domain, address)
            else:
                relay.dns.mx(self.domain, (10 * number, f"mx{number}.{self.domain}"))
                relay.dns.address(f"mx{number}.{self.domain}", address)
            if script != REFUSES:
                self.fakes.append(FakeSMTP(address, relay.port, **script))
        if callable(self.dns):
            self.dns(relay.dns, self.domain)
        self.queue_id = relay.send(*(f"r{i}@{self.domain}" for i in range(1, len(self.expected) + 1)))


def sent(relay="1", text=SENT, dsn="2.0.0"):
    return (relay, dsn, "sent", text)


def bounced(dsn, text, relay="1"):
    return (relay, dsn, "bounced", text)


def deferred(dsn, text, relay="1"):
    return (relay, dsn, "deferred", text)


def said(reply, command, number=1):
    return "host {%d} said: %s (in reply to %s command)" % (number, reply, command)


def refused(reply, number=1):
    return "host {%d} refused to talk to me: %s" % (number, reply)


def lost(phase, number=1):
    return "lost connection with {%d} while %s" % (number, phase)


def timed_out(phase):
    return "conversation with {1} timed out while " + phase


def no_reply(phase):
    return "protocol error: {1} sent no SMTP reply while " + phase


def name_error(name, kind, text):
    return f"Host or domain name not found. Name service error for name={name} type={kind}: {text}"


GREETING, EHLO, MAIL, RCPT, DATA = ("receiving the initial server greeting", "performing the EHLO handshake", "sending MAIL FROM",
                                    "sending RCPT TO", "sending DATA command")
PHASES = [("greeting", GREETING), ("ehlo", EHLO), ("mail", MAIL), ("rcpt", RCPT), ("data", DATA), ("data_end", AGAIN)]
COMMANDS = [("mail", "MAIL FROM"), ("rcpt", "RCPT TO"), ("data", "DATA"), ("data_end", "end of DATA")]
ANSWERS = [("450 4.7.0 later", deferred, "4.7.0"), ("450 later", deferred, "4.0.0"), ("550 5.7.1 never", bounced, "5.7.1"),
           ("554 never", bounced, "5.0.0"), ("421 4.3.2 closing", deferred, "4.3.2"), ("550 4.1.1 other class", bounced, "5.0.0")]

CASES = [Case("plain", sent()),
         Case("stepwise", sent(), ehlo=SIMPLE),
         Case("helo", sent(), ehlo="500 what"),
         Case("helo_after_4xx", sent(), ehlo="450 4.7.0 later"),
         Case("helo_4xx", deferred("4.0.0", refused("450 x")), ehlo="500 what", helo="450 x"),
         Case("helo_5xx", bounced("5.0.0", refused("550 x")), ehlo="500 what", helo="550 x"),
         Case("ehlo_421", deferred("4.3.2", refused("421 4.3.2 x")), ehlo="421 4.3.2 x"),
         Case("greeting_4xx", deferred("4.7.0", refused("450 4.7.0 x")), greeting="450 4.7.0 x"),
         Case("greeting_5xx", deferred("4.7.1", refused("554 5.7.1 x")), greeting="554 5.7.1 x"),
         Case("greeting_5xx_no_status", deferred("4.0.0", refused("554 x")), greeting="554 x"),
         Case("reply_without_status", sent(text="250 accepted"), data_end="250 accepted"),
         Case("quit_lost", sent(), quit=CLOSE)]
for (step, command), (number, (reply, result, dsn)) in itertools.product(COMMANDS, enumerate(ANSWERS)):
    CASES.append(Case(f"{step}_{number}", result(dsn, said(reply, command)), **{step: reply}))
    CASES.append(Case(f"{step}_{number}_stepwise", result(dsn, said(reply, command)), ehlo=SIMPLE, **{step: reply}))
for step, phase in PHASES:
    stepwise = {} if step == "ehlo" else {"ehlo": SIMPLE}
    CASES += [Case(f"{step}_lost", deferred("4.4.2", lost(phase)), **{step: CLOSE}),
              Case(f"{step}_lost_stepwise", deferred("4.4.2", lost(phase)), **{step: CLOSE}, **stepwise),
              Case(f"{step}_silent", deferred("4.4.2", timed_out(phase)), **{step: HANG}),
              Case(f"{step}_half_said", deferred("4.4.2", timed_out(phase)), **{step: Then(b"250-no end", HANG)}),
              Case(f"{step}_garbage", deferred("4.4.2", timed_out(phase)), **{step: Then(b"\x00\xff\xe9 ???\r\n", HANG)}),
              Case(f"{step}_no_such_code", deferred("4.5.0", no_reply(phase)), **{step: "999 huh"}),
              Case(f"{step}_endless", deferred("4.5.0", no_reply(phase)), **{step: ENDLESS})]

REASON = said("450 4.1.0 x", "RCPT TO")
CASES += [
    # what replies look like
    Case("several_lines", bounced("5.1.3", said("550-5.1.0 a 550-5.1.2 b 550 5.1.3 c", "RCPT TO")), rcpt="550-5.1.0 a\n550-5.1.2 b\n550 5.1.3 c"),
    Case("several_codes", bounced("5.0.0", said("450-first 550 third", "RCPT TO")), rcpt="450-first\n550 third"),
    Case("bare_code", bounced("5.0.0", said("550", "RCPT TO")), rcpt="550"),
    Case("lf_only", sent(), rcpt=b"250 ok\n"),
    Case("text_between", sent(), greeting=b"220-fake.test\r\n welcome, stranger\r\n220 ESMTP\r\n"),
    Case("control_bytes", bounced("5.1.1", said("550 5.1.1 ?[1m?? x", "RCPT TO")), rcpt=b"550 5.1.1 \x1b[1m\x01\xe9 x\r\n"),
    Case("positive_code_where_it_fits_not", bounced("5.5.0", said("250 fine", "DATA")), data="250 fine"),
    Case("intermediate_code_where_it_fits_not", bounced("5.5.0", said("354 go", "MAIL FROM")), mail="354 go"),
    # several recipients
    Case("some_recipients", sent(), deferred("4.1.0", REASON), bounced("5.1.1", said("550 5.1.1 no", "RCPT TO")), sent(),
         rcpt=["250 ok", "450 4.1.0 x", "550 5.1.1 no", "250 ok"]),
    Case("some_recipients_stepwise", sent(), deferred("4.1.0", REASON), bounced("5.1.1", said("550 5.1.1 no", "RCPT TO")), sent(),
         rcpt=["250 ok", "450 4.1.0 x", "550 5.1.1 no", "250 ok"], ehlo=SIMPLE),
    Case("all_recipients_refused_data_accepted", bounced("5.1.1", said("550 5.1.1 no", "RCPT TO")),
         bounced("5.1.1", said("550 5.1.1 no", "RCPT TO")), rcpt="550 5.1.1 no"),
    Case("all_recipients_refused_data_refused", bounced("5.1.1", said("550 5.1.1 no", "RCPT TO")),
         bounced("5.1.1", said("550 5.1.1 no", "RCPT TO")), rcpt="550 5.1.1 no", data="554 no valid recipients"),
    Case("some_recipients_then_data_refused", bounced("5.5.1", said("554 5.5.1 no", "DATA")), deferred("4.1.0", REASON),
         rcpt=["250 ok", "450 4.1.0 x"], data="554 5.5.1 no"),
    Case("some_recipients_then_text_refused", deferred("4.5.1", said("451 4.5.1 no", "end of DATA")),
         bounced("5.1.1", said("550 5.1.1 no", "RCPT TO")), rcpt=["250 ok", "550 5.1.1 no"], data_end="451 4.5.1 no"),
    Case("recipient_421", sent(), deferred("4.1.0", said("421 4.1.0 bye", "RCPT TO")), sent(), rcpt=["250 ok", "421 4.1.0 bye", "250 ok"]),
    Case("recipient_421_and_gone", deferred("4.4.2", lost(RCPT)), deferred("4.1.0", said("421 4.1.0 bye", "RCPT TO")),
         deferred("4.4.2", lost(RCPT)), rcpt=["250 ok", Then("421 4.1.0 bye", CLOSE)]),
    # several hosts
    Case("next_after_refused", sent("2"), servers=[REFUSES, {}], also="]: connect to {1}:{p}: Connection refused\n"),
    Case("next_after_greeting_lost", sent("2"), servers=[{"greeting": CLOSE}, {}], also="QID: " + lost(GREETING)),
    Case("next_after_greeting_4xx", sent("2"), servers=[{"greeting": "450 x"}, {}], also="QID: " + refused("450 x")),
    Case("next_after_greeting_5xx", sent("2"), servers=[{"greeting": "554 x"}, {}], also="QID: " + refused("554 x")),
    Case("next_after_helo_4xx", sent("2"), servers=[{"ehlo": "500 x", "helo": "450 x"}, {}], also="QID: " + refused("450 x")),
    Case("next_after_mail_4xx", sent("2"), servers=[{"mail": "450 x"}, {}], also="QID: host {1} said: 450 x"),
    Case("next_after_data_4xx", sent("2"), servers=[{"data": "450 x"}, {}], also="QID: host {1} said: 450 x"),
    Case("next_after_text_4xx", sent("2"), servers=[{"data_end": "450 x"}, {}], also="QID: host {1} said: 450 x"),
    Case("next_after_text_lost", sent("2"), servers=[{"data_end": CLOSE}, {}], also="QID: " + lost(AGAIN)),
    Case("next_for_the_deferred_only", sent(), sent("2"), bounced("5.1.1", said("550 5.1.1 no", "RCPT TO")),
         servers=[{"rcpt": ["250 ok", "450 4.1.0 x", "550 5.1.1 no"]}, {}], also="QID: host {1} said: 450 4.1.0 x"),
    Case("next_after_rcpt_lost", sent("2"), sent("2"), servers=[{"rcpt": Then("250 ok", CLOSE)}, {}], also="QID: " + lost(RCPT)),
    Case("no_next_after_mail_5xx", bounced("5.1.0", said("550 5.1.0 x", "MAIL FROM")), servers=[{"mail": "550 5.1.0 x"}, {}]),
    Case("no_next_after_helo_5xx", bounced("5.0.0", refused("550 x")), servers=[{"ehlo": "500 x", "helo": "550 x"}, {}]),
    Case("all_greetings_5xx", deferred("4.7.1", refused("554 5.7.1 x", 2), "2"), servers=[{"greeting": "554 x"}, {"greeting": "554 5.7.1 x"}]),
    Case("two_sessions_at_most", deferred("4.1.1", said("450 4.1.1 x", "MAIL FROM", 2), "2"),
         servers=[{"mail": "450 4.1.0 x"}, {"mail": "450 4.1.1 x"}, {}]),
    Case("a_greeting_refused_is_no_session", sent("3"), servers=[{"greeting": "450 x"}, {"greeting": "450 x"}, {}]),
    Case("five_addresses_at_most", deferred("4.4.1", "connect to {5}:{p}: Connection refused", "none"), servers=[REFUSES] * 6, never="connect to {6}"),
    Case("last_reason_counts", deferred("4.4.1", "connect to {2}:{p}: Connection refused", "none"), servers=[{"mail": "450 4.1.0 x"}, REFUSES]),
    # names
    Case("null_mx", bounced("5.1.0", "Domain {d} does not accept mail (nullMX)", "none"), dns=lambda dns, d: dns.mx(d, (0, ""))),
    Case("no_such_domain", bounced("5.4.4", name_error("{d}", "AAAA", "Host not found"), "none"), dns=lambda dns, d: None),
    Case("no_records", bounced("5.4.4", name_error("{d}", "AAAA", "Host found but no data record of requested type"), "none"),
         dns=lambda dns, d: dns.add(d, 16, b"\x01x")),
    Case("mx_servfail", deferred("4.4.3", name_error("{d}", "MX", "Host not found, try again"), "none"), dns=lambda dns, d: dns.fails(d, SERVFAIL)),
    Case("mx_dns_refused", deferred("4.4.3", name_error("{d}", "MX", "Host not found, try again"), "none"), dns=lambda dns, d: dns.fails(d, REFUSED)),
    Case("mx_without_address", bounced("5.4.4", name_error("gone.{d}", "AAAA", "Host not found"), "none"),
         dns=lambda dns, d: dns.mx(d, (10, "gone." + d)), also="warning: no MX host for {d} has a valid address record"),
    Case("mx_address_servfail", deferred("4.4.3", name_error("f.{d}", "AAAA", "Host not found, try again"), "none"),
         dns=lambda dns, d: (dns.mx(d, (10, "gone." + d), (20, "f." + d), (30, "gone2." + d)), dns.fails("f." + d, SERVFAIL))),
    Case("address_servfail", deferred("4.4.3", name_error("{d}", "AAAA", "Host not found, try again"), "none"),
         dns=lambda dns, d: (dns.fails(d, NOERROR, MX), dns.fails(d, SERVFAIL, A), dns.fails(d, SERVFAIL, AAAA))),
    Case("some_mx_without_address", sent(), servers=[{}],
         dns=lambda dns, d: (dns.mx(d, (5, "gone." + d), (6, "f." + d)), dns.fails("f." + d, SERVFAIL))),
    Case("mx_is_an_alias", ("al.{d}[{a}]:{p}", "2.0.0", "sent", SENT), servers=[{}],
         dns=lambda dns, d: (dns.cname("al." + d, "mx1." + d), dns.mx(d, (1, "al." + d)))),
    Case("mx_names_no_host", bounced("5.4.4", "Name service error for name={d} type=MX: Malformed or unexpected name server reply", "none"),
         dns=lambda dns, d: dns.mx(d, (10, "bad host." + d))),
    Case("mx_is_a_number", deferred("4.4.1", "connect to 127.2.2.2[127.2.2.2]:{p}: Connection refused", "none"),
         dns=lambda dns, d: dns.mx(d, (10, "127.2.2.2")), also="warning: numeric domain name in resource data of MX record for {d}: 127.2.2.2"),
    Case("address_without_mx", sent(), servers=[{}], dns="address"),
    Case("mx_is_me", bounced("5.4.6", "mail for {d} loops back to myself", "none"),
         dns=lambda dns, d: (dns.mx(d, (10, "me." + d)), dns.address("me." + d, "127.0.0.1"))),
    Case("address_is_mine", bounced("5.4.6", "mail for {d} loops back to myself", "none"), dns=lambda dns, d: dns.address(d, "127.0.0.1")),
    Case("better_mx_than_me", deferred("4.4.1", "connect to {1}:{p}: Connection refused", "none"), servers=[REFUSES], never="connect to b.{d}",
         dns=lambda dns, d: (dns.mx(d, (50, "me." + d), (50, "b." + d), (60, "b." + d)), dns.address("me." + d, "127.0.0.1"),
                             dns.address("b." + d, "127.2.2.3"))),
    Case("worse_mx_than_me", bounced("5.4.6", "mail for {d} loops back to myself", "none"), servers=[{}],
         dns=lambda dns, d: (dns.mx(d, (1, "me." + d)), dns.address("me." + d, "127.0.0.1"))),
    Case("calls_itself_like_me", bounced("5.4.6", "mail for {d} loops back to myself"), ehlo="250-mx.lab.test hi\n250 SIZE",
         also="warning: host {1}:{p} replied to HELO/EHLO with my own hostname mx.lab.test"),
    # next hops
    Case("hop_address", sent(), hop="[{a}]"),
    Case("hop_address_port", sent(), hop="[{a}]:{p}"),
    Case("hop_host", sent(), hop="[{d}]", dns="address", servers=[{}]),
    Case("hop_host_port", sent(), hop="[{d}]:{p}", dns="address", servers=[{}]),
    Case("hop_mx_port", sent(), hop="{d}:{p}"),
    Case("hop_host_unknown", bounced("5.4.4", name_error("no.{d}", "AAAA", "Host not found"), "none"), hop="[no.{d}]", servers=[]),
    Case("hop_bad_port", deferred("4.3.5", "unknown service: nosuch/tcp", "none"), hop="[{d}]:nosuch", servers=[]),
    Case("hop_bad", deferred("4.3.5", "bad next hop: [{d}", "none"), hop="[{d}", servers=[]),
    Case("hop_me", bounced("5.4.6", "mail for 127.0.0.1 loops back to myself", "none"), hop="[127.0.0.1]", servers=[]),
    Case("hop_other_port_of_me", deferred("4.4.1", "connect to 127.0.0.1[127.0.0.1]:1: Connection refused", "none"), hop="[127.0.0.1]:1", servers=[]),
    Case("hop_same_name_on_another_port", sent(), hop="[{a}]:{p}", ehlo="250 mx.lab.test"),
    Case("hops_in_turn", sent(), hop="[127.2.2.4]:{p}, [{a}]:{p}"),
    Case("hops_after_unknown_name", sent(), hop="nosuch.test [{a}]:{p}"),
    Case("hops_end_at_me", bounced("5.4.6", "mail for 127.0.0.1 loops back to myself", "none"), hop="[127.0.0.1], [{a}]:{p}"),
]


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    """All cases are sent at once, so that those that wait for a timeout wait together."""
    made = Relay(str(tmp_path_factory.mktemp("r") / "i"),
                 transport=lambda port: [case.transport_line(port) for case in CASES if case.hop])
    try:
        for case in CASES:
            case.make(made)
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome(relay, case):
    for number, (where, dsn, status, text) in enumerate(case.expected, 1):
        got = relay.outcome(case.queue_id, f"r{number}@{case.domain}")
        if where.isdigit():
            where = "{%s}:{p}" % where
        assert (got[0], *got[3:]) == (case.text(where, relay.port), dsn, status, case.text(text, relay.port))
    if case.also:
        relay.server.wait_log(re.escape(case.text(case.also, relay.port)))
    if case.never:
        assert case.text(case.never, relay.port) not in relay.server.log()
    if all(outcome[2] == "sent" for outcome in case.expected):
        relay.removed(case.queue_id)
        assert len(case.fakes[-1].texts) == 1


# --- one by one ---


def test_hosts_are_tried_by_preference_and_equals_by_chance(relay):
    first, second = relay.host("equal.test", new_address(), name="a.equal.test"), relay.host("equal.test", new_address(), name="b.equal.test")
    worse = relay.host("equal.test", new_address(), preference=20, name="c.equal.test")
    for _ in range(20):
        relay.outcome(relay.send("r@equal.test"), "r@equal.test")
    assert first.connections and second.connections and not worse.connections
    assert len(first.texts) + len(second.texts) == 20


def test_ipv6_hosts(relay):
    try:
        server = FakeSMTP("::1", relay.port)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    relay.dns.mx("six.test", (10, "mx.six.test"))
    relay.dns.address("mx.six.test", "::1")
    got = relay.outcome(relay.send("r@six.test"), "r@six.test")
    assert got[0] == f"mx.six.test[::1]:{relay.port}" and got[4] == "sent"
    assert len(server.texts) == 1
    server.close()


def test_many_exchangers_come_over_tcp_and_only_some_are_looked_up(relay):
    for number in range(60):
        name = f"a-long-name-of-a-mail-exchanger-number-{number}.many.test"
        relay.dns.mx("many.test", (number, name))
        relay.dns.address(name, f"127.3.0.{number + 1}")
    relay.dns.address("a-long-name-of-a-mail-exchanger-number-0.many.test", "::9")  # both protocols are there
    got = relay.outcome(relay.send("r@many.test"), "r@many.test")
    assert got[3:] == ("4.4.1", "deferred", "connect to a-long-name-of-a-mail-exchanger-number-3.many.test[127.3.0.4]:"
                       f"{relay.port}: Connection refused")
    assert len([name for name, kind in relay.dns.asked if name.endswith(".many.test") and kind == A]) == 4


def test_pipelining_when_offered(relay):
    early = {}

    def mail(argument, connection):
        early[connection.server.host] = connection.early()
        return "250 ok"

    with_it = relay.host("pipelining.test", new_address(), mail=mail)
    without = relay.host("stepwise-too.test", new_address(), mail=mail, ehlo=SIMPLE)
    for domain in "pipelining.test", "stepwise-too.test":
        assert relay.outcome(relay.send(f"r1@{domain}", f"r2@{domain}"), f"r2@{domain}")[4] == "sent"
    assert early[with_it.host].split(b"\r\n") == [
        b"RCPT TO:<r1@pipelining.test> ORCPT=rfc822;r1@pipelining.test",
        b"RCPT TO:<r2@pipelining.test> ORCPT=rfc822;r2@pipelining.test", b"DATA", b""]
    assert early[without.host] == b""


def test_parameters_only_where_offered(relay):
    everything = relay.host("dsn.test", new_address())
    nothing = relay.host("nodsn.test", new_address(), ehlo="250 fake.test")
    for domain in "dsn.test", "nodsn.test":
        queue_id = relay.send(f"r@{domain}", text="Subject: é\r\n\r\né\r\n".encode(),
                              mail_options=["RET=HDRS", "ENVID=env+2Bid", "BODY=8BITMIME"],
                              rcpt_options=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;or+2Big@x.test"])
        assert relay.outcome(queue_id, f"r@{domain}")[4] == "sent"
    size = len(everything.texts[0].replace(b"\r\n", b"\n"))
    mail = everything.commands[1].split(" ")
    assert mail[:2] == ["MAIL", "FROM:<s@a.test>"] and mail[3:] == ["BODY=8BITMIME", "ENVID=env+2Bid", "RET=HDRS"]
    assert re.fullmatch(r"SIZE=\d+", mail[2]) and abs(int(mail[2][5:]) - size) < 50
    assert everything.commands[2] == "RCPT TO:<r@dsn.test> ORCPT=rfc822;or+2Big@x.test NOTIFY=SUCCESS,DELAY"
    assert nothing.commands == ["EHLO mx.lab.test", "MAIL FROM:<s@a.test>", "RCPT TO:<r@nodsn.test>", "DATA", "QUIT"]


def test_addresses_are_quoted(relay):
    server = relay.host("quoted.test", new_address(), ehlo=SIMPLE)
    queue_id = relay.send('"a b"@quoted.test', '"x\\"y"@quoted.test', sender='"s t"@a.test')
    relay.removed(queue_id)
    assert server.commands[1:4] == ['MAIL FROM:<"s t"@a.test>', 'RCPT TO:<"a b"@quoted.test>', 'RCPT TO:<"x\\"y"@quoted.test>']


def test_size_limit_of_the_server(relay):
    server = relay.host("small.test", new_address(), ehlo=ehlo("SIZE 500"))
    got = relay.outcome(relay.send("r@small.test", text=b"Subject: x\r\n\r\n" + b"x" * 500 + b"\r\n"), "r@small.test")
    assert got[3:5] == ("5.3.4", "bounced")
    assert re.fullmatch(rf"message size \d+ exceeds size limit 500 of server mx\.small\.test\[{server.host}\]", got[5])
    assert server.commands == ["EHLO mx.lab.test", "QUIT"]
    assert relay.outcome(relay.send("r@small.test"), "r@small.test")[4] == "sent"
    unlimited = relay.host("unlimited.test", new_address(), ehlo=ehlo("SIZE 0"))
    assert relay.outcome(relay.send("r@unlimited.test"), "r@unlimited.test")[4] == "sent"
    assert len(unlimited.texts) == 1


TEXTS = {
    "dots": (b"..\r\n...x\r\n\r\n..\r\n.\xe9\r\nend.\r\n", None),
    "without a last line end": (b"a\r\n..", b"a\r\n..\r\n"),
    "8-bit": (bytes(c for c in range(32, 256)) + b"\r\n", None),
    "as long as lines may be": (b"a" * 998 + b"\r\n", None),
    "a long line": (b"b" * 999 + b"\r\n" + b"c" * 5000 + b"\r\nend\r\n",
                    b"b" * 998 + b"\r\n b\r\n" + b"c" * 998 + b"\r\n" + (b" " + b"c" * 997 + b"\r\n") * 4 + b" " + b"c" * 14 + b"\r\nend\r\n"),
    "a long line of dots": (b"." * 2000 + b"\r\n", b"." * 998 + b"\r\n " + b"." * 997 + b"\r\n " + b"." * 5 + b"\r\n"),
    "one megabyte": (b"".join(b"%060d\r\n" % number for number in range(17000)), None),
}


def test_text_arrives_byte_by_byte(relay):
    server = relay.host("text.test", new_address())
    for name, (text, expected) in TEXTS.items():
        # What is sent here is not doubled: smtplib doubles dots, smtpd undoes that, smtp doubles them again.
        queue_id = relay.send("r@text.test", text=b"Subject: x\r\n\r\n" + text)
        assert relay.outcome(queue_id, "r@text.test")[4] == "sent"
        body = server.texts[-1].split(b"\r\n\r\n", 1)[1]
        assert re.sub(rb"(?m)^\.", b"", body) == (expected or text), name
        assert not re.search(rb"(?m)^\.(?!\.)", body), name


def test_hundred_recipients_of_which_some_fail(relay):
    server = relay.host("hundred.test", new_address(), rcpt=lambda argument, connection: (
        "550 5.1.1 no" if re.match(r"TO:<r\d*3@", argument) else "450 4.2.0 later" if re.match(r"TO:<r\d*7@", argument) else "250 ok"))
    queue_id = relay.send(*(f"r{i}@hundred.test" for i in range(100)))
    for i in range(100):
        status = relay.outcome(queue_id, f"r{i}@hundred.test")[4]
        assert status == {3: "bounced", 7: "deferred"}.get(i % 10, "sent"), i
    relay.server.wait_log(f"{queue_id}: sender non-delivery notification: ")
    assert len(server.texts) == 2  # 50 recipients each
    wait_until(lambda: relay.queue_file("deferred", queue_id), what="the deferred file")


def test_bounce_names_the_server_and_what_it_said(relay):
    server = relay.host("refuses.test", new_address(), rcpt="550-5.1.1 no such user\n550 5.1.1 here")
    queue_id = relay.send("r@refuses.test", sender=f"{USER}@lab.test")
    relay.server.wait_log(f"{queue_id}: sender non-delivery notification: ")
    notice = relay.server.wait_mail()[-1].decode()
    assert (f"\n<r@refuses.test>: host mx.refuses.test[{server.host}] said: 550-5.1.1 no such user 550 5.1.1 here"
            " (in reply to RCPT TO command)\n") in notice.replace("\n    ", " ")
    fields = notice.split("Content-Type: message/delivery-status\n", 1)[1].split("\n--", 1)[0]
    assert fields.rstrip("\n").split("\n\n")[-1].split("\n") == [
        "Final-Recipient: rfc822; r@refuses.test",
        "Original-Recipient: rfc822;r@refuses.test",
        "Action: failed",
        "Status: 5.1.1",
        "Remote-MTA: dns; mx.refuses.test",
        "Diagnostic-Code: smtp; 550-5.1.1 no such user 550 5.1.1 here",
    ]


def test_connection_is_used_again_while_more_is_waiting(relay):
    server = relay.host("again.test", new_address())
    with Stopped(relay.server, "qmgr"):
        ids = [relay.send("r@again.test") for _ in range(60)]
    got = [relay.outcome(queue_id, "r@again.test") for queue_id in ids]
    assert all(outcome[4] == "sent" for outcome in got)
    assert len(server.texts) == 60 and len(server.connections) < 45
    uses = [int(outcome[1]) for outcome in got if outcome[1]]
    assert uses and sorted(uses)[0] == 2
    assert len(uses) == 60 - len(server.connections)
    # Kept no longer than smtp_connection_cache_time_limit (2 s), then left politely.
    wait_until(lambda: all(connection.ended for connection in server.connections), what="the end of kept connections")
    assert all(connection.commands[-1] == "QUIT" for connection in server.connections)


def test_transaction_that_failed_is_reset_before_the_next(relay):
    server = relay.host("reset.test", new_address(), ehlo=SIMPLE, mail="450 4.1.0 later")
    with Stopped(relay.server, "qmgr"):
        ids = [relay.send("r@reset.test") for _ in range(20)]
    for queue_id in ids:
        assert relay.outcome(queue_id, "r@reset.test")[3:5] == ("4.1.0", "deferred")
        with open(relay.queue_file("defer", queue_id), encoding="utf-8") as file:
            assert "\nmta_mname=mx.reset.test\n" in file.read()
    # The server has had its say: no second attempt over a new connection.
    assert sum(line.startswith("MAIL") for line in server.commands) == 20
    several = [connection.commands for connection in server.connections if connection.uses["mail"] > 1]
    assert several
    for commands in several:
        verbs = [line.split(" ")[0] for line in commands[1:] if line != "QUIT"]
        assert verbs == (["MAIL", "RSET"] * len(verbs))[:len(verbs)] and verbs[-1] == "MAIL"


@pytest.mark.parametrize("when", ["at once", "with 421"])
def test_kept_connection_that_the_server_closed(relay, when):
    domain = f"closed-{when[-3:].strip()}.test"
    answer = Then(SENT, CLOSE) if when == "at once" else SENT
    script = {"data_end": lambda text, connection: (time.sleep(0.05), answer)[1]}
    if when == "with 421":
        script["mail"] = ["250 ok", Then("421 4.4.2 idle too long", CLOSE)]
    server = relay.host(domain, new_address(), **script)
    ids = [relay.send(f"r@{domain}") for _ in range(20)]
    for queue_id in ids:
        relay.removed(queue_id)
    assert len(server.texts) == 20
    assert not re.search(rf"to=<r@{domain}>.*status=deferred", relay.server.log())


def test_dead_destination_is_left_alone_until_a_flush(relay):
    server = relay.host("dead.test", new_address(), greeting=HANG)
    with Stopped(relay.server, "qmgr"):  # all are there before the first attempt
        ids = [relay.send("r@dead.test") for _ in range(12)]
    texts = [relay.outcome(queue_id, "r@dead.test") for queue_id in ids]
    reason = f"conversation with mx.dead.test[{server.host}] timed out while {GREETING}"
    suspended = [got for got in texts if got[5].startswith("delivery temporarily suspended")]
    assert 0 < len(suspended) <= 7 and len(server.connections) == 12 - len(suspended)
    for got in texts:
        if got in suspended:
            assert (got[0], *got[3:]) == ("none", "4.4.2", "deferred", "delivery temporarily suspended: " + reason)
        else:
            assert (got[0], *got[3:]) == (f"mx.dead.test[{server.host}]:{relay.port}", "4.4.2", "deferred", reason)
    # A new message does not even try.
    tried = len(server.connections)
    ids.append(relay.send("r@dead.test"))
    assert relay.outcome(ids[-1], "r@dead.test")[5] == "delivery temporarily suspended: " + reason
    assert len(server.connections) == tried
    server.script = {}
    relay.server.command("postqueue", "-f")
    for queue_id in ids:
        relay.removed(queue_id)
    assert len(server.texts) == 13


def test_endless_replies_cost_little_memory(relay):
    for pid in relay.server.processes("smtp"):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1))
        assert peak < 100_000, f"{peak} KB"  # after all cases above, the endless ones among them


def test_backoff_is_the_time_stamp_of_the_deferred_file(relay):
    relay.dns.fails("later.test", SERVFAIL)
    before = time.time()
    queue_id = relay.send("r@later.test")
    relay.outcome(queue_id, "r@later.test")
    path = wait_until(lambda: relay.queue_file("deferred", queue_id), what="the deferred file")
    assert before + 299 <= os.stat(path).st_mtime <= time.time() + 301  # minimal_backoff_time


def test_no_process_died(relay):
    assert not re.search(r"panic|fatal|killed by signal|exit status", relay.server.log())


@pytest.fixture
def other_relay(tmp_path_factory):
    made = []

    def make(*main):
        made.append(Relay(str(tmp_path_factory.mktemp("o") / "i"), main))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_without_a_lifetime_one_attempt_is_made(other_relay):
    relay = other_relay("maximal_queue_lifetime = 0", "bounce_queue_lifetime = 0")
    server = relay.host("later.test", new_address(), rcpt="450 4.2.0 later")
    queue_id = relay.send("r@later.test", sender=f"{USER}@lab.test")
    relay.server.wait_log(f"{queue_id}: from=<{USER}@lab.test>, status=expired, returned to sender")
    relay.removed(queue_id)
    notice = relay.server.wait_mail()[0].decode()
    assert "\nAction: failed\nStatus: 4.2.0\nRemote-MTA: dns; mx.later.test\nDiagnostic-Code: smtp; 450 4.2.0 later\n" in notice
    assert len(server.connections) == 1


def test_settings_that_change_the_conversation(other_relay):
    relay = other_relay("soft_bounce = yes", "smtp_skip_5xx_greeting = no", "smtp_always_send_ehlo = no", "smtp_line_length_limit = 20",
                        "smtp_connection_cache_on_demand = no", "smtp_helo_name = other.name.test", "smtp_discard_ehlo_keywords = DSN",
                        "smtp_skip_quit_response = no", "inet_protocols = ipv4", "smtp_mx_address_limit = 1")
    server = relay.host("plain.test", new_address(), data_end=lambda text, connection: (time.sleep(0.02), SENT)[1])
    old = relay.host("old.test", new_address(), greeting="220 fake.test SMTP")
    relay.host("refuses.test", new_address(), rcpt="550 5.1.1 no")
    relay.host("busy.test", new_address(), greeting="554 5.3.2 no")
    relay.host("second.test", new_address(), name="a.second.test", greeting="450 x")
    second = relay.host("second.test", new_address(), preference=20, name="b.second.test")
    text = b"Subject: x\r\n\r\n" + b"x" * 50 + b"\r\n"
    ids = [relay.send("r@plain.test", text=text, rcpt_options=["NOTIFY=NEVER"]) for _ in range(15)]
    for queue_id in ids:
        relay.removed(queue_id)
    assert len(server.connections) == 15
    assert all(connection.commands == ["EHLO other.name.test", connection.commands[1], "RCPT TO:<r@plain.test>", "DATA", "QUIT"]
               for connection in server.connections)
    assert server.texts[0].endswith(b"\r\n\r\n" + b"x" * 20 + b"\r\n " + b"x" * 19 + b"\r\n " + b"x" * 11 + b"\r\n")
    relay.removed(relay.send("r@old.test"))
    assert old.commands[0] == "HELO other.name.test"
    for domain, dsn, text in [("refuses.test", "4.1.1", "said: 550 5.1.1 no (in reply to RCPT TO command)"),
                              ("busy.test", "4.3.2", "refused to talk to me: 554 5.3.2 no")]:
        queue_id = relay.send(f"r@{domain}")
        got = relay.outcome(queue_id, f"r@{domain}")
        assert got[3:5] == (dsn, "SOFTBOUNCE") and got[5].endswith(text)
        assert wait_until(lambda: relay.queue_file("deferred", queue_id), what="the deferred file")
    assert relay.outcome(relay.send("r@second.test"), "r@second.test")[4] == "deferred" and not second.connections
    relay.dns.fails("nowhere.test", 3)
    assert relay.outcome(relay.send("r@nowhere.test"), "r@nowhere.test")[5] == name_error("nowhere.test", "A", "Host not found")


def test_names_from_the_hosts_file(other_relay):
    relay = other_relay("smtp_host_lookup = native")
    got = relay.outcome(relay.send("r@no-such-name.invalid"), "r@no-such-name.invalid")
    assert got[3:5] in [("5.4.4", "bounced"), ("4.4.4", "deferred")]
    assert got[5].startswith("unable to look up host no-such-name.invalid: ")
