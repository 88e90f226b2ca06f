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
from instance import USER, Instance, free_port, wait_until

MAIN = [
    "myhostname = mx.lab.test",
    "mydestination = mx.lab.test lab.test",
    "mynetworks = 127.0.0.0/8",
    "smtpd_peername_lookup = no",
    "smtpd_recipient_limit = 1000",
] + [f"smtp_{phase}_timeout = 1s" for phase in ("connect", "helo", "mail", "rcpt", "data_init", "data_xfer", "data_done", "rset", "quit")]
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

    def outcome(self, queue_id, recipient, seconds=20):
        """relay, conn_use, delays, dsn, status, text of the first attempt."""
        match = self.server.wait_log(
            rf" {queue_id}: to=<{re.escape(recipient)}>, relay=(\S+), (?:conn_use=(\d+), )?delay=[\d.]+, delays=([\d./]+), "
            r"dsn=([\d.]+), status=(\w+) \((.*)\)$", seconds)
        return match.groups()

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
