"""What a reviewer of smtpd found: tables that change under it, late access actions, long lines."""
import re

import pytest

from instance import USER, Instance, wait_until

START = ["mynetworks = 127.0.0.1/32", "smtpd_peername_lookup = no"]


@pytest.fixture
def made(tmp_path):
    instances = []

    def make(*main, tables=None):
        instance = Instance(str(tmp_path / f"i{len(instances)}"))
        instances.append(instance)
        for name, text in (tables or {}).items():
            write_table(instance, name, text)
        instance.configure([*START, *(line.replace("TABLES", f"lmdb:{instance.etc}") for line in main)])
        instance.start()
        return instance

    yield make
    for instance in instances:
        instance.destroy()


def write_table(instance, name, text):
    with open(f"{instance.etc}/{name}", "w", encoding="utf-8") as file:
        file.write(text)
    instance.command("postmap", f"lmdb:{instance.etc}/{name}")


def said(instance, *lines):
    with instance.connect() as client:
        return [client.say(line) for line in lines]


ATTEMPT = ("EHLO c.test", "MAIL FROM:<s@a.test>", "RCPT TO:<postmaster>")


@pytest.mark.parametrize("lists", [
    ["smtpd_client_restrictions = check_client_access TABLES/table"],
    ["smtpd_end_of_data_restrictions = permit", "smtpd_restriction_classes = strict", "strict = check_client_access TABLES/table",
     "smtpd_sender_restrictions = strict"],
])
def test_a_client_that_was_just_blocked_is_refused(made, lists):
    """Access tables are looked at again as soon as postmap has written them, those of restriction classes too."""
    instance = made(*lists, tables={"table": "127.0.0.9\tOK\n"})
    assert said(instance, *ATTEMPT)[-1].startswith("250 ")
    write_table(instance, "table", "127.0.0.1\tREJECT blocked\n")
    wait_until(lambda: said(instance, *ATTEMPT)[-1].startswith("554 "), 15, "the refusal")


@pytest.mark.parametrize("parameter, before, after, keyword", [
    ("smtpd_authorized_xclient_hosts", "127.0.0.1\tx\n", "127.0.0.9\tx\n", "XCLIENT"),
    ("smtpd_authorized_xforward_hosts", "127.0.0.1\tx\n", "127.0.0.9\tx\n", "XFORWARD"),
    ("smtpd_authorized_verp_clients", "127.0.0.1\tx\n", "127.0.0.9\tx\n", "XVERP"),
])
def test_who_may_do_more_is_looked_up_anew(made, parameter, before, after, keyword):
    """A client that lost its right to XCLIENT, XFORWARD or XVERP is not announced it any more."""
    instance = made(f"{parameter} = TABLES/table", tables={"table": before})
    assert keyword in said(instance, "EHLO c.test")[0]
    write_table(instance, "table", after)
    wait_until(lambda: keyword not in said(instance, "EHLO c.test")[0], 15, "the end of the right")


def test_a_command_that_was_just_forbidden_is_refused(made):
    """smtpd_forbidden_commands from a table that changes."""
    instance = made("smtpd_forbidden_commands = TABLES/table", tables={"table": "GET\tx\n"})
    assert said(instance, "NOOP")[0].startswith("250 ")
    write_table(instance, "table", "NOOP\tx\n")
    wait_until(lambda: said(instance, "NOOP")[0].startswith("221 "), 15, "the refusal")


@pytest.mark.parametrize("limit", [65535, 65536, 102400])
def test_lines_as_long_as_their_parameter_allows(made, limit):
    """line_length_limit above 65535: the server lives, takes a command of that length, and refuses a longer one."""
    instance = made(f"line_length_limit = {limit}")
    fill = limit - len("NOOP \r")
    with instance.connect() as client:
        assert client.say("EHLO c.test").startswith("250-")
        assert client.say("NOOP " + "x" * fill).startswith("250 ")
        client.say("NOOP " + "x" * (fill + 10))
        assert client.say("NOOP").startswith("250 ")
    assert "request longer than" in instance.log()
    assert "panic" not in instance.log()


@pytest.mark.parametrize("lines", [1, 40000])  # the latter: more than one frame to cleanup holds
def test_late_actions_reach_the_message(made, lines):
    """HOLD, DISCARD, REDIRECT and BCC of smtpd_end_of_data_restrictions, for small messages and streamed ones."""
    mine = f"{USER}@localhost"
    instance = made(f"smtpd_end_of_data_restrictions = check_sender_access inline:{{{{h@a.test=HOLD}},{{d@a.test=DISCARD}},"
                    f"{{r@a.test=REDIRECT {mine}}},{{b@a.test=BCC {mine}}}}}", "mydestination = localhost",
                    "transport_maps = inline:{elsewhere.test=discard:}", "smtpd_reject_unlisted_recipient = no")
    body = "Subject: x\r\n\r\n" + "0123456789\r\n" * lines
    with instance.smtp() as client:
        for sender, recipient in (("h", mine), ("d", mine), ("r", "x@elsewhere.test"), ("b", "x@elsewhere.test")):
            client.sendmail(f"{sender}@a.test", [recipient], body)
    instance.wait_log(r"removed \(discarded\)")
    instance.wait_mail(2)
    wait_until(lambda: len(instance.queued()) == 1, 20, "only the held message")
    assert instance.queued()[0]["queue_name"] == "hold"
    senders = sorted(re.search(rb"Return-Path: <(.)@", text)[1] for text in instance.mailbox())
    assert senders == [b"b", b"r"]
