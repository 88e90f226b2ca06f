"""What is so only for now makes mail wait, and what is so for good returns it: never the other way round."""
import re

import pytest

from fake_dns import A, SERVFAIL
from fake_smtp import ehlo
from instance import USER
from test_relay import Relay, name_error, new_address

FILTER_BROKEN = "Error looking up name={} type=A: Invalid DNS reply filter syntax"
MALFORMED = "Malformed or unexpected name server reply"
LOOPS = "mail for {} loops back to myself"


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    directory = tmp_path_factory.mktemp("l")
    (directory / "filter").write_text("/^broken\\S* .* A / NOSUCHACTION\n")
    made = Relay(str(directory / "i"), [f"smtp_dns_reply_filter = regexp:{directory}/filter", "inet_protocols = all"])
    yield made
    made.close()


def outcome(relay, domain, user="r", **options):
    got = relay.outcome(relay.send(f"{user}@{domain}", **options), f"{user}@{domain}")
    return got[3], got[4], got[5]


# --- names ---


def broken(dns, name):
    dns.address(name, "127.3.3.3")


def malformed(dns, name):
    dns.add(name, A, b"\1\2\3")


def gone(dns, name):
    """It does not exist."""


TROUBLES = {"broken": (broken, FILTER_BROKEN), "malformed": (malformed, name_error("{}", "A", MALFORMED))}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_with_a_is_not_made_up_for_by_an_empty_aaaa(relay, trouble):
    make, text = TROUBLES[trouble]
    domain = f"{trouble}.one.test"
    make(relay.dns, domain)
    assert outcome(relay, domain) == ("4.4.3", "deferred", text.format(domain))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_with_an_exchanger_outweighs_another_that_does_not_exist(relay, trouble, first):
    make, text = TROUBLES[trouble]
    domain = f"{trouble}-{first}.test".lower()
    name = f"{trouble}.{domain}"
    relay.dns.mx(domain, (10 if first else 20, name), (20 if first else 10, f"gone.{domain}"))
    make(relay.dns, name)
    assert outcome(relay, domain) == ("4.4.3", "deferred", text.format(name))


# --- we are an exchanger ---


@pytest.mark.parametrize("why, make", [("servfail", lambda dns, name: dns.fails(name, SERVFAIL)), ("absent", gone)])
def test_second_exchanger_keeps_mail_while_the_first_has_no_address(relay, why, make):
    domain = f"second-{why}.test"
    relay.dns.mx(domain, (10, f"mx.{domain}"), (20, f"me.{domain}"))
    relay.dns.address(f"me.{domain}", "127.0.0.1")
    make(relay.dns, f"mx.{domain}")
    assert outcome(relay, domain) == ("4.4.4", "deferred", f"unable to find primary relay for {domain}")


def test_first_exchanger_returns_mail_that_nobody_else_takes(relay):
    relay.dns.mx("first.test", (10, "me.first.test"), (20, "mx.first.test"))
    relay.dns.address("me.first.test", "127.0.0.1")
    relay.dns.fails("mx.first.test", SERVFAIL)
    assert outcome(relay, "first.test") == ("5.4.6", "bounced", LOOPS.format("first.test"))


def test_second_exchanger_keeps_what_is_for_the_best_alone(tmp_path):
    """best_mx_transport is for domains whose best exchanger we are."""
    relay = Relay(str(tmp_path / "i"), ["best_mx_transport = discard"])
    try:
        for domain, first, second in ("second.test", "mx", "me"), ("first.test", "me", "mx"):
            relay.dns.mx(domain, (10, f"{first}.{domain}"), (20, f"{second}.{domain}"))
            relay.dns.address(f"me.{domain}", "127.0.0.1")
            relay.dns.fails(f"mx.{domain}", SERVFAIL)
        assert outcome(relay, "second.test")[:2] == ("4.4.4", "deferred")
        assert outcome(relay, "first.test")[1] == "sent"
    finally:
        relay.close()


@pytest.mark.parametrize("preference, expected", [(20, ("4.4.6", "deferred")), (5, ("5.4.6", "bounced"))])
def test_server_with_our_name_is_a_loop_only_when_it_is_the_best(relay, preference, expected):
    domain = f"name{preference}.test"
    relay.dns.mx(domain, (10, f"mx.{domain}"))
    relay.dns.address(f"mx.{domain}", new_address())  # nobody listens
    relay.host(domain, new_address(), preference, name=f"other.{domain}", ehlo="250 mx.lab.test")
    assert outcome(relay, domain) == (*expected, LOOPS.format(domain))


# --- next hops ---


@pytest.mark.parametrize("lookup", ["dns", "native"])
def test_next_hop_that_takes_no_mail_or_has_no_address_leads_to_the_next(tmp_path, lookup):
    """With native, "null.test" is just a name that is not there."""
    relay = Relay(str(tmp_path / "i"), [f"smtp_host_lookup = {lookup}"], transport=lambda port: [f"x.test smtp:null.test,[127.3.3.9]:{port}"])
    server = relay.host("unused.test", "127.3.3.9")
    try:
        relay.dns.mx("null.test", (0, ""))
        assert outcome(relay, "x.test")[1] == "sent" and len(server.texts) == 1
    finally:
        relay.close()


# --- SMTPUTF8 ---


@pytest.mark.parametrize("reply, expected", [("450 4.2.1 busy", "deferred"), ("550 5.7.1 no", "bounced")])
def test_mail_that_needs_smtputf8_waits_for_the_exchanger_that_has_it(relay, reply, expected):
    domain = f"utf8-{expected}.test"
    relay.host(domain, new_address(), ehlo=ehlo("8BITMIME", "SMTPUTF8"), rcpt=reply)
    relay.host(domain, new_address(), preference=20, name=f"plain.{domain}", ehlo=ehlo("8BITMIME"))
    queue_id = relay.send(f"r@{domain}", text="Subject: \u00fc\r\n\r\nx\r\n".encode(), mail_options=["SMTPUTF8"])
    assert relay.outcome(queue_id, f"r@{domain}")[4] == expected


# --- notices that cleanup finds too big ---

MAIN = ["myhostname = mx.lab.test", "mydestination = lab.test", "local_recipient_maps =", "smtpd_peername_lookup = no",
        "smtpd_reject_unlisted_recipient = no", "bounce_size_limit = 1000000"]


def notice_of(make_instance, limit, reason, recipients, text):
    server = make_instance([*MAIN, f"message_size_limit = {limit}", f"transport_maps = inline:{{ {{far.test = error:5.1.1 {reason}}} }}"])
    with server.smtp() as client:
        client.sendmail(f"{USER}@lab.test", recipients, text)
    notice = server.wait_mail()[0].decode()
    server.wait_log(r"postfix/qmgr\[\d+\]: (\S+): removed")
    assert len(notice) < limit + 500  # with what the mailbox adds
    return notice


def test_notice_leaves_out_the_text(make_instance):
    notice = notice_of(make_instance, 9000, "no", ["x@far.test"], "Subject: long\r\n\r\n" + "this is the text of it\r\n" * 350)
    assert "this is the text of it" not in notice and "\nSubject: long\n" in notice
    assert "\nFinal-Recipient: rfc822; x@far.test\n" in notice and "more recipient" not in notice


def test_notice_leaves_out_a_header_that_is_too_long(make_instance):
    notice = notice_of(make_instance, 9000, "no", ["x@far.test"], "X-Long: word\r\n" * 600 + "\r\nx\r\n")
    assert "X-Long" not in notice and "\nFinal-Recipient: rfc822; x@far.test\n" in notice


def test_notice_without_room_for_one_reason_counts_it(make_instance):
    notice = notice_of(make_instance, 2500, "no " + "word " * 300, ["x@far.test"], "Subject: x\r\n\r\nx\r\n")
    assert "\nand 1 more recipient: " in notice and "word" not in notice


def test_notice_counts_the_recipients_that_it_has_no_room_for(make_instance):
    recipients = [f"r{number}@far.test" for number in range(100)]
    notice = notice_of(make_instance, 40000, "no " + "word " * 100, recipients, "Subject: x\r\n\r\nx\r\n")
    told = re.findall(r"^Final-Recipient: rfc822; (\S+)$", notice, re.M)
    assert 0 < len(told) < 100 and set(told) < set(recipients)
    assert f"\nand {100 - len(told)} more recipients: " in notice
