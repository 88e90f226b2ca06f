"""SMTP dialogues: replies of the server to good, bad, early, late, long and malicious commands.

Replies are Postfix's (observed on 3.10.3), for a server whose client 127.0.0.1 is trusted and 127.0.0.2 is not."""
import contextlib
import os
import re

import pytest

from instance import USER, wait_until

MAIN = [
    "myhostname = mx.lab.test",
    "mydestination = mx.lab.test localhost lab.test",
    "myorigin = lab.test",
    "mynetworks = 127.0.0.1/32",
    "recipient_delimiter = +",
    "relay_domains = relay.test err.test retry.test",
    "virtual_alias_domains = valias.test",
    f"virtual_alias_maps = inline:{{info@valias.test={USER}@lab.test}}",
    "virtual_mailbox_domains = vmail.test",
    "virtual_mailbox_maps = inline:{v1@vmail.test=v1/}",
    "transport_maps = inline:{ {err.test = error:5.7.1 administratively closed} {retry.test = retry:4.7.1 try later please} }",
    "message_size_limit = 20000",
    "smtpd_error_sleep_time = 0",
    "smtpd_hard_error_limit = 1000",
    "smtpd_peername_lookup = no",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from instance import Instance
    made = Instance(str(tmp_path_factory.mktemp("d") / "i"))
    made.configure(MAIN)
    made.start()
    yield made
    made.destroy()


ME = f"{USER}@lab.test"
UNKNOWN = "550 5.1.1 <{0}>: Recipient address rejected: User unknown in local recipient table"

OUTSIDE = [
    ("NOOP", "250 2.0.0 Ok"),
    ("NOOP arg x", "250 2.0.0 Ok"),
    ("RSET", "250 2.0.0 Ok"),
    ("RSET x", "501 5.5.4 Syntax: RSET"),
    ("HELP", "214 2.0.0 Commands: AUTH BDAT DATA EHLO ETRN HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY XCLIENT XFORWARD"),
    (f"VRFY {USER}", f"252 2.0.0 {USER}"),
    ("VRFY nosuch@lab.test", UNKNOWN.format("nosuch@lab.test")),
    ("VRFY nosuch", UNKNOWN.format("nosuch")),
    ("VRFY x@elsewhere.test", "252 2.0.0 x@elsewhere.test"),
    ("VRFY", "501 5.5.4 Syntax: VRFY address [SMTPUTF8]"),
    ("VRFY a b", "501 5.1.3 Bad recipient address syntax"),
    ("VRFY info@valias.test", "252 2.0.0 info@valias.test"),
    ("VRFY no@valias.test", "550 5.1.1 <no@valias.test>: Recipient address rejected: User unknown in virtual alias table"),
    ("VRFY no@vmail.test", "550 5.1.1 <no@vmail.test>: Recipient address rejected: User unknown in virtual mailbox table"),
    ("VRFY x@err.test", "550 5.7.1 <x@err.test>: Recipient address rejected: administratively closed"),
    ("EXPN staff", "500 5.5.2 Error: command not recognized"),
    ("FOO", "500 5.5.2 Error: command not recognized"),
    ("", "500 5.5.2 Error: bad syntax"),
    ("   ", "500 5.5.2 Error: bad syntax"),
    ("HELO", "501 Syntax: HELO hostname"),
    ("HELO a b", "250 mx.lab.test"),
    ("HELO [127.0.0.1]", "250 mx.lab.test"),
    ("EHLO", "501 Syntax: EHLO hostname"),
    (f"RCPT TO:<{ME}>", "503 5.5.1 Error: need MAIL command"),
    ("DATA", "503 5.5.1 Error: need RCPT command"),
    ("AUTH PLAIN AAA", "503 5.5.1 Error: authentication not enabled"),
    ("STARTTLS", "502 5.5.1 Error: command not implemented"),
    ("XCLIENT ADDR=1.2.3.4", "550 5.7.0 Error: insufficient authorization"),
    ("XFORWARD ADDR=1.2.3.4", "550 5.7.0 Error: insufficient authorization"),
    (b"NO\0OP", "500 5.5.2 Error: command not recognized"),
    ("NOOP " + "x" * 9000, "250 2.0.0 Ok"),
]


def test_commands_outside_a_transaction(server):
    with server.connect() as wire:
        assert wire.greeting == "220 mx.lab.test ESMTP Postfix"
        for command, reply in OUTSIDE:
            assert wire.say(command) == reply, command
        assert wire.say("QUIT x") == "221 2.0.0 Bye"
        assert wire.reply() == ""


def test_ehlo_announces_what_is_built(server):
    with server.connect() as wire:
        assert wire.say("EHLO c.test").split("\n") == [
            "250-mx.lab.test", "250-PIPELINING", "250-SIZE 20000", "250-VRFY", "250-ETRN",
            "250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-DSN", "250 SMTPUTF8"]


MAIL = [
    ("MAIL", "501 5.5.4 Syntax: MAIL FROM:<address>"),
    ("MAIL FROM", "501 5.5.4 Syntax: MAIL FROM:<address>"),
    ("MAIL FROM:", "501 5.5.4 Syntax: MAIL FROM:<address>"),
    ("MAIL FROM: <s@a.test>", "250 2.1.0 Ok"),
    ("MAIL FROM:s@a.test", "250 2.1.0 Ok"),
    ("MAIL FROM:<s@a.test", "501 5.1.7 Bad sender address syntax"),
    ("MAIL FROM:<>", "250 2.1.0 Ok"),
    ("MAIL FROM:<<s@a.test>>", "250 2.1.0 Ok"),
    ("MAIL FROM:<s>", "250 2.1.0 Ok"),
    ("MAIL FROM:<s@[127.0.0.1]>", "250 2.1.0 Ok"),
    ("MAIL FROM:<s@[1.2.3]>", "501 5.1.7 Bad sender address syntax"),
    ("MAIL FROM:<@a.test,@b.test:s@c.test>", "250 2.1.0 Ok"),
    ('MAIL FROM:<"a b"@a.test>', "250 2.1.0 Ok"),
    ("MAIL FROM:<a b@a.test>", "501 5.1.7 Bad sender address syntax"),
    ("MAIL FROM:<s@a..test>", "501 5.1.7 Bad sender address syntax"),
    ("MAIL FROM:<s@>", "501 5.1.7 Bad sender address syntax"),
    ("MAIL FROM:Name <s@a.test>", "555 5.5.4 Unsupported option: <s@a.test>"),
    ("MAIL FROM:<s@a.test> (comment)", "555 5.5.4 Unsupported option: (comment)"),
    ("MAIL FROM:<s@a.test> FOO", "555 5.5.4 Unsupported option: FOO"),
    ("MAIL FROM:<s@a.test> FOO=bar", "555 5.5.4 Unsupported option: FOO=bar"),
    ("MAIL FROM:<s@a.test> SIZE=20001", "552 5.3.4 Message size exceeds fixed limit"),
    ("MAIL FROM:<s@a.test> SIZE=x", "501 5.5.4 Bad message size syntax"),
    ("MAIL FROM:<s@a.test> SIZE=", "501 5.5.4 Bad message size syntax"),
    ("MAIL FROM:<s@a.test> SIZE=99999999999999999999", "552 5.3.4 Message size exceeds file system imposed limit"),
    ("MAIL FROM:<s@a.test> BODY=8BITMIME", "250 2.1.0 Ok"),
    ("MAIL FROM:<s@a.test> BODY=BINARYMIME", "555 5.5.4 Unsupported option: BODY=BINARYMIME"),
    ("MAIL FROM:<s@a.test> BODY=", "555 5.5.4 Unsupported option: BODY="),
    ("MAIL FROM:<s@a.test> RET=BOTH", "501 5.5.4 Bad RET parameter syntax"),
    ("MAIL FROM:<s@a.test> RET=FULL RET=HDRS", "501 5.5.4 Bad RET parameter syntax"),
    ("MAIL FROM:<s@a.test> ENVID=", "501 5.5.4 Bad ENVID parameter syntax"),
    ("MAIL FROM:<s@a.test> ENVID=a+zz", "501 5.5.4 Bad ENVID parameter syntax"),
    ("MAIL FROM:<s@a.test> ENVID=a+00", "501 5.5.4 Bad ENVID parameter syntax"),
    ("MAIL FROM:<s@a.test> AUTH=<>", "250 2.1.0 Ok"),
    ("MAIL FROM:<s@a.test> REQUIRETLS", "555 5.5.4 Unsupported option: REQUIRETLS"),
    (b"MAIL FROM:<s\xe9@a.test>", "500 5.5.2 Error: bad UTF-8 syntax"),
    (b"MAIL FROM:<s\0@a.test>", "501 5.1.7 Bad sender address syntax"),
    ("MAIL TO:<s@a.test>", "501 5.5.4 Syntax: MAIL FROM:<address>"),
    ("mail from:<s@a.test>", "250 2.1.0 Ok"),
    ("MAIL FROM :<s@a.test>", "501 5.5.4 Syntax: MAIL FROM:<address>"),
]


def test_mail_in_all_its_forms(server):
    with server.connect() as wire:
        wire.say("EHLO c.test")
        for command, reply in MAIL:
            assert wire.say(command) == reply, command
            assert wire.say("RSET") == "250 2.0.0 Ok"


RCPT = [
    # command, reply for the trusted client, reply for others when it differs
    ("RCPT", "501 5.5.4 Syntax: RCPT TO:<address>"),
    ("RCPT TO:", "501 5.5.4 Syntax: RCPT TO:<address>"),
    ("RCPT TO:<>", "501 5.1.3 Bad recipient address syntax"),
    (f"RCPT TO:<{USER}>", "250 2.1.5 Ok"),
    (f"RCPT TO:{ME}", "250 2.1.5 Ok"),
    (f"RCPT TO: <{ME}>", "250 2.1.5 Ok"),
    (f"RCPT TO:<{ME}", "501 5.1.3 Bad recipient address syntax"),
    (f"RCPT TO:<{USER}@[127.0.0.1]>", "250 2.1.5 Ok"),
    ("RCPT TO:<nosuch@[127.0.0.1]>", UNKNOWN.format("nosuch@[127.0.0.1]")),
    ("RCPT TO:<postmaster>", "250 2.1.5 Ok"),
    ("RCPT TO:<nosuch@lab.test>", UNKNOWN.format("nosuch@lab.test")),
    ("RCPT TO:<nosuch>", UNKNOWN.format("nosuch")),
    ("RCPT TO:<nosuch@valias.test>",
     "550 5.1.1 <nosuch@valias.test>: Recipient address rejected: User unknown in virtual alias table"),
    ("RCPT TO:<nosuch@vmail.test>",
     "550 5.1.1 <nosuch@vmail.test>: Recipient address rejected: User unknown in virtual mailbox table"),
    ("RCPT TO:<any@relay.test>", "250 2.1.5 Ok"),
    ("RCPT TO:<any@elsewhere.example>", "250 2.1.5 Ok", "454 4.7.1 <any@elsewhere.example>: Relay access denied"),
    ("RCPT TO:<alice%elsewhere.example@lab.test>", "250 2.1.5 Ok",
     "454 4.7.1 <alice%elsewhere.example@lab.test>: Relay access denied"),
    ("RCPT TO:<elsewhere.example!alice@lab.test>", "250 2.1.5 Ok",
     "454 4.7.1 <elsewhere.example!alice@lab.test>: Relay access denied"),
    ("RCPT TO:<elsewhere.example!alice>", "250 2.1.5 Ok", "454 4.7.1 <elsewhere.example!alice>: Relay access denied"),
    ("RCPT TO:<@lab.test:x@elsewhere.example>", "250 2.1.5 Ok", "454 4.7.1 <x@elsewhere.example>: Relay access denied"),
    (f"RCPT TO:<@elsewhere.example:{ME}>", "250 2.1.5 Ok"),
    (f'RCPT TO:<"{USER}"@lab.test>', "250 2.1.5 Ok"),
    ('RCPT TO:<"a\\"b"@lab.test>', UNKNOWN.format('a"b@lab.test')),
    ('RCPT TO:<"al ice"@lab.test>', UNKNOWN.format("al ice@lab.test")),
    ("RCPT TO:<al ice@lab.test>", "501 5.1.3 Bad recipient address syntax"),
    ('RCPT TO:<"alice@elsewhere.example"@lab.test>', "250 2.1.5 Ok",
     "454 4.7.1 <alice@elsewhere.example@lab.test>: Relay access denied"),
    (f"RCPT TO:<{USER}+ext@lab.test>", "250 2.1.5 Ok"),
    (f"RCPT TO:<{USER.upper()}@LAB.TEST>", "250 2.1.5 Ok"),
    (f"RCPT TO:<{USER}@LAB.test.>", "250 2.1.5 Ok"),
    (f"RCPT TO:<{USER}@lab..test>", "501 5.1.3 Bad recipient address syntax"),
    ("RCPT TO:<-alice@lab.test>", "501 5.1.3 Bad recipient address syntax"),
    ("RCPT TO:<alice@[1.2.3.4]>", "250 2.1.5 Ok", "454 4.7.1 <alice@[1.2.3.4]>: Relay access denied"),
    ("RCPT TO:<alice@[IPv6:zz]>", "501 5.1.3 Bad recipient address syntax"),
    (f"RCPT TO:<{ME}> FOO=1", "555 5.5.4 Unsupported option: FOO=1"),
    (f"RCPT TO:<{ME}> NOTIFY=NEVER", "250 2.1.5 Ok"),
    (f"RCPT TO:<{ME}> NOTIFY=NEVER,FAILURE", "501 5.5.4 Error: Bad NOTIFY parameter syntax"),
    (f"RCPT TO:<{ME}> NOTIFY=", "501 5.5.4 Error: Bad NOTIFY parameter syntax"),
    (f"RCPT TO:<{ME}> ORCPT=rfc822;a@b", "250 2.1.5 Ok"),
    (f"RCPT TO:<{ME}> ORCPT=a@b", "501 5.5.4 Error: Bad ORCPT parameter syntax"),
    (f"RCPT TO:<{ME}> SIZE=3", "555 5.5.4 Unsupported option: SIZE=3"),
    (f"RCPT FROM:<{ME}>", "501 5.5.4 Syntax: RCPT TO:<address>"),
    ("RCPT TO:<alice@@lab.test>", "501 5.1.3 Bad recipient address syntax"),
    ("RCPT TO:<x@err.test>", "550 5.7.1 <x@err.test>: Recipient address rejected: administratively closed"),
    ("RCPT TO:<x@retry.test>", "450 4.7.1 <x@retry.test>: Recipient address rejected: try later please"),
    ("RCPT TO:<alice,bob@lab.test>", "501 5.1.3 Bad recipient address syntax"),
    (f"RCPT TO:<{ME}>x", "501 5.1.3 Bad recipient address syntax"),
]


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_rcpt_in_all_its_forms_and_never_a_relay(server, source):
    with server.connect(source) as wire:
        wire.say("EHLO c.test")
        assert wire.say("MAIL FROM:<s@a.test>") == "250 2.1.0 Ok"
        for row in RCPT:
            expected = row[-1] if source == "127.0.0.2" else row[1]
            assert wire.say(row[0]) == expected, row[0]


def test_sequence_errors(server):
    with server.connect() as wire:
        wire.say("EHLO c.test")
        assert wire.say("MAIL FROM:<s@a.test>") == "250 2.1.0 Ok"
        assert wire.say("MAIL FROM:<s@a.test>") == "503 5.5.1 Error: nested MAIL command"
        assert wire.say("DATA") == "554 5.5.1 Error: no valid recipients"
        assert wire.say("EHLO x.test").startswith("250-")
        assert wire.say("DATA") == "503 5.5.1 Error: need RCPT command"
        assert wire.say("MAIL FROM:<s@a.test>") == "250 2.1.0 Ok"
        assert wire.say(f"RCPT TO:<{ME}>") == "250 2.1.5 Ok"
        assert wire.say("DATA x") == "501 5.5.4 Syntax: DATA"
        assert wire.say("DATA") == "354 End data with <CR><LF>.<CR><LF>"
        assert re.fullmatch(r"250 2\.0\.0 Ok: queued as [0-9A-F]+", wire.say("Subject: x\r\n\r\nx\r\n."))
        # Nothing of the transaction survives its end.
        assert wire.say(f"RCPT TO:<{ME}>") == "503 5.5.1 Error: need MAIL command"
        assert wire.say("DATA") == "503 5.5.1 Error: need RCPT command"


def send(wire, text, sender="s@a.test"):
    assert wire.say(f"MAIL FROM:<{sender}>") == "250 2.1.0 Ok"
    assert wire.say(f"RCPT TO:<{ME}>") == "250 2.1.5 Ok"
    assert wire.say("DATA").startswith("354 ")
    wire.raw(text)
    return wire.reply()


def test_message_over_the_limit_is_refused_and_the_session_goes_on(server):
    with server.connect() as wire:
        wire.say("EHLO c.test")
        assert send(wire, b"Subject: big\r\n\r\n" + b"x" * 70 * 400 + b"\r\n.\r\n") == "552 5.3.4 Error: message file too big"
        assert wire.say("NOOP") == "250 2.0.0 Ok"
        assert send(wire, b"Subject: small\r\n\r\nx\r\n.\r\n").startswith("250 2.0.0 Ok: queued as ")


def test_fifty_received_lines_with_ours_are_too_many_hops(server):
    with server.connect() as wire:
        wire.say("EHLO c.test")
        assert send(wire, b"Received: x\r\n" * 49 + b"\r\n.\r\n") == "554 5.4.0 Error: too many hops"
        assert send(wire, b"Received: x\r\n" * 48 + b"\r\n.\r\n").startswith("250 ")


def test_bare_newlines_do_not_end_a_message_of_a_stranger(server):
    """SMTP smuggling: whatever stands around the dot, only CR LF . CR LF ends the data."""
    inner = b"MAIL FROM:<evil@a.test>\r\nRCPT TO:<" + ME.encode() + b">\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
    with server.connect("127.0.0.2") as wire:
        wire.say("EHLO c.test")
        count = 0
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\r\n.\r\r\n"):
            count += 1
            reply = send(wire, b"Subject: one\r\n\r\nbody" + end + inner)
            assert re.fullmatch(r"250 2\.0\.0 Ok: queued as [0-9A-F]+", reply), end
            assert wire.say("NOOP") == "250 2.0.0 Ok", end
    def arrived():
        return [m for m in server.mailbox() if b"\nSubject: one" in m]
    wait_until(lambda: len(arrived()) >= count, what="all messages")
    assert len(arrived()) == count
    assert not any(b"\nSubject: smuggled" in m.split(b"\n\n")[0] for m in server.mailbox())


def test_unauthorised_pipelining_is_refused(server):
    refusal = "554 5.5.0 Error: SMTP protocol synchronization"
    for early in (b"EHLO c.test\r\nMAIL FROM:<s@a.test>\r\n", b"NOOP\r\nNOOP\r\n"):
        with server.connect() as wire:
            wire.raw(early)
            assert wire.reply() == refusal
            assert wire.reply() == ""
    with server.connect() as wire:
        wire.say("HELO c.test")
        wire.raw(f"MAIL FROM:<s@a.test>\r\nRCPT TO:<{ME}>\r\n".encode())
        assert wire.reply() == refusal
    with server.connect() as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<s@a.test>")
        wire.say(f"RCPT TO:<{ME}>")
        wire.raw(b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n")
        assert wire.reply() == refusal
    assert "improper command pipelining after" in server.log()


def test_pipelining_within_the_envelope(server):
    with server.connect() as wire:
        wire.say("EHLO c.test")
        wire.raw(f"MAIL FROM:<s@a.test>\r\nRCPT TO:<{ME}>\r\nDATA\r\n".encode())
        assert [wire.reply() for _ in range(3)] == ["250 2.1.0 Ok", "250 2.1.5 Ok", "354 End data with <CR><LF>.<CR><LF>"]
        wire.raw(b"Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\nNOOP\r\n")
        assert wire.reply().startswith("250 2.0.0 Ok: queued as ")
        assert wire.reply() == "221 2.0.0 Bye"
        assert wire.reply() == ""


@pytest.mark.parametrize("line", ["CONNECT x", "GET / HTTP/1.0", "POST / HTTP/1.0", "<html>", "Subject: hello"])
def test_other_protocols_are_sent_away(server, line):
    with server.connect() as wire:
        assert wire.say(line) == "221 2.7.0 Error: I can break rules, too. Goodbye."
        assert wire.reply() == ""


def test_disconnect_line_counts_commands(server):
    with server.connect("127.0.0.9") as wire:
        wire.say("EHLO c.test")
        wire.say("FOO")
        wire.say("MAIL FROM:<s@a.test>")
        wire.say("RCPT TO:<nosuch@lab.test>")
        wire.say("QUIT")
    server.wait_log(r"disconnect from unknown\[127\.0\.0\.9\] ehlo=1 mail=1 rcpt=0/1 quit=1 unknown=0/1 commands=3/5")
    server.wait_log(r"NOQUEUE: reject: RCPT from unknown\[127\.0\.0\.9\]: 550 5\.1\.1 <nosuch@lab\.test>: Recipient address "
                    r"rejected: User unknown in local recipient table; from=<s@a\.test> to=<nosuch@lab\.test> proto=ESMTP helo=<c\.test>")


def test_stored_text_is_what_was_sent(server):
    body = b"..one dot\r\n...two dots\r\n\xc3\xa9 8-bit\r\n" + b"long " * 1000 + b"\r\nend"
    with server.connect() as wire:
        wire.say("EHLO c.test")
        assert send(wire, b"Subject: text\r\n\r\n" + body + b"\r\n.\r\n").startswith("250 ")
    text = wait_until(lambda: [m for m in server.mailbox() if b"\nSubject: text" in m], what="the message")[0]
    expected = b".one dot\n..two dots\n\xc3\xa9 8-bit\n" + b"long " * 1000 + b"\nend\n"
    assert text.split(b"\n\n", 1)[1] == expected


LIMITS = MAIN[:-2] + [
    "smtpd_peername_lookup = no", "smtpd_recipient_limit = 5", "smtpd_recipient_overshoot_limit = 3", "smtpd_timeout = 2s",
    "smtpd_hard_error_limit = 4", "smtpd_helo_required = yes", "disable_vrfy_command = yes", "strict_rfc821_envelopes = yes",
    "smtpd_forbid_bare_newline = reject", "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
]


def test_limits_and_strict_settings(make_instance):
    server = make_instance(LIMITS)
    with server.connect() as wire:
        assert wire.say("MAIL FROM:<s@a.test>") == "503 5.5.1 Error: send HELO/EHLO first"
        assert wire.say("VRFY x") == "502 5.5.1 VRFY command is disabled"
        wire.say("EHLO c.test")
        assert wire.say("MAIL FROM:s@a.test") == "501 5.1.7 Bad sender address syntax"
        assert wire.say("FOO") == "500 5.5.2 Error: command not recognized"
        assert wire.reply() == "421 4.7.0 mx.lab.test Error: too many errors"
    with server.connect() as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<s@a.test>")
        replies = [wire.say(f"RCPT TO:<{USER}+{i}@lab.test>") for i in range(7)]
        assert replies == ["250 2.1.5 Ok"] * 5 + ["452 4.5.3 Error: too many recipients"] * 2
        assert wire.reply() == "421 4.4.2 mx.lab.test Error: timeout exceeded"
    with server.connect("127.0.0.2") as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<s@a.test>")
        assert wire.say("RCPT TO:<x@elsewhere.example>") == "554 5.7.1 <x@elsewhere.example>: Relay access denied"
        wire.say(f"RCPT TO:<{ME}>")
        wire.say("DATA")
        assert wire.say(b"Subject: a\nX: b\r\n\r\nx\r\n.") == "550 5.5.2 mx.lab.test Error: bare <LF> received"


ACCESS = [
    ("rej@a.test REJECT access reject", "554 5.7.1 <rej@a.test>: Sender address rejected: access reject"),
    ("rejc@a.test 550 5.7.77 custom code", "550 5.7.77 <rejc@a.test>: Sender address rejected: custom code"),
    ("def@a.test DEFER access defer", "450 4.7.1 <def@a.test>: Sender address rejected: access defer"),
    ("defp@a.test DEFER_IF_PERMIT access difp", "450 4.7.1 <defp@a.test>: Sender address rejected: access difp"),
    ("num@a.test 554 plain text", "554 5.7.1 <num@a.test>: Sender address rejected: plain text"),
    ("four@a.test 421 go away", "421 4.7.1 <four@a.test>: Sender address rejected: go away"),
    ("ok@a.test OK", "250 2.1.5 Ok"),
    ("hold@a.test HOLD held", "250 2.1.5 Ok"),
]


def test_access_tables(make_instance):
    server = make_instance(MAIN, start=False)
    with open(f"{server.etc}/access", "w", encoding="utf-8") as file:
        file.write("".join(row[0] + "\n" for row in ACCESS))
    server.configure([f"smtpd_sender_restrictions = check_sender_access texthash:{server.etc}/access"])
    server.start()
    for row, expected in ACCESS:
        with server.connect() as wire:
            wire.say("EHLO c.test")
            wire.say(f"MAIL FROM:<{row.split()[0]}>")
            assert wire.say(f"RCPT TO:<{ME}>") == expected, row
    with server.connect() as wire:
        wire.say("EHLO c.test")
        assert send(wire, b"Subject: held\r\n\r\nx\r\n.\r\n", "hold@a.test").startswith("250 ")
    wait_until(lambda: os.listdir(f"{server.queue}/hold"), what="a held message")


def test_server_without_relay_control_does_not_start(make_instance):
    server = make_instance(MAIN + ["smtpd_relay_restrictions =", "smtpd_recipient_restrictions = permit", "service_throttle_time = 1s"])
    with server.open_socket() as client:
        server.wait_log("specify at least one working instance of")
        client.settimeout(0.3)
        with contextlib.suppress(OSError):
            assert client.recv(100) == b""


@pytest.mark.parametrize("name, subject", [
    ("client", "<unknown[127.0.0.1]>: Client host rejected: Access denied"),
    ("helo", "<c.test>: Helo command rejected: Access denied"),
    ("sender", "<s@a.test>: Sender address rejected: Access denied"),
    ("recipient", f"<{ME}>: Recipient address rejected: Access denied"),
])
def test_a_refusal_names_what_its_list_is_about(make_instance, name, subject):
    """Whichever list refuses, the client hears of it at RCPT (smtpd_delay_reject)."""
    server = make_instance(MAIN + [f"smtpd_{name}_restrictions = reject"])
    with server.connect() as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<s@a.test>")
        assert wire.say(f"RCPT TO:<{ME}>") == f"554 5.7.1 {subject}"
