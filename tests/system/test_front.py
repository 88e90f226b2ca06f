"""What clients see since the comparison with Postfix (tests/compat): SMTPUTF8, access actions, classes, early refusals."""
import contextlib
import os
import re

from instance import USER, wait_until

ME = f"{USER}@lab.test"
MAIN = [
    "myhostname = mx.lab.test", "mydestination = mx.lab.test lab.test", "myorigin = lab.test",
    "smtpd_error_sleep_time = 0", "smtpd_peername_lookup = no", "mynetworks = 127.0.0.1/32",
    "transport_maps = inline:{ {later.test=retry:not now} }", "smtpd_reject_unlisted_recipient = no",
]


def send(wire, sender, text=b"Subject: x\r\n\r\nx\r\n.\r\n", parameters="", to=ME):
    assert wire.say(f"MAIL FROM:<{sender}>{parameters}") == "250 2.1.0 Ok"
    assert wire.say(f"RCPT TO:<{to}>") == "250 2.1.5 Ok"
    assert wire.say("DATA").startswith("354 ")
    wire.raw(text)
    reply = wire.reply()
    assert reply.startswith("250 2.0.0 Ok: queued as "), reply
    return reply.split()[-1]


def queue_file(server, queue_id):
    def read():
        for folder in ("deferred", "active", "incoming"):
            for directory, _, names in os.walk(f"{server.queue}/{folder}"):
                if queue_id in names:
                    with contextlib.suppress(FileNotFoundError), open(f"{directory}/{queue_id}", "rb") as file:
                        return file.read()
        return None
    return wait_until(read, what=queue_id)


def sendopts(server, queue_id):
    """The last number of the file's first record."""
    return int(queue_file(server, queue_id)[2:97].split()[5])


def test_smtputf8_is_offered_kept_and_shown(make_instance):
    server = make_instance(MAIN)
    with server.connect() as wire:
        assert "250 SMTPUTF8" in wire.say("EHLO c.test")
        queue_id = send(wire, "é@a.test", "Subject: é\r\n\r\né\r\n.\r\n".encode(), " SMTPUTF8", "x@later.test")
        assert sendopts(server, queue_id) == 1
        assert sendopts(server, send(wire, "é@a.test", to="x@later.test")) == 0
        send(wire, "s@a.test", parameters=" SMTPUTF8")
        assert wire.say("MAIL FROM:<s@é.test>") == "501 5.1.7 Bad sender address syntax"
    assert b" with UTF8SMTP id " in server.wait_mail()[0]
    off = make_instance(MAIN + ["smtputf8_enable = no"])
    with off.connect() as wire:
        assert "SMTPUTF8" not in wire.say("EHLO c.test")
        assert wire.say("MAIL FROM:<s@a.test> SMTPUTF8") == "555 5.5.4 Unsupported option: SMTPUTF8"


def test_strict_smtputf8(make_instance):
    server = make_instance(MAIN + ["strict_smtputf8 = yes"])
    with server.connect() as wire:
        wire.say("EHLO c.test")
        assert wire.say("MAIL FROM:<é@a.test>") == "553 5.6.7 Must declare SMTPUTF8 to send unicode address"
        assert wire.say("MAIL FROM:<é@a.test> SMTPUTF8") == "250 2.1.0 Ok"


def test_autodetection_of_smtputf8(make_instance):
    """smtputf8_autodetect_classes: by default only what comes by sendmail(1)."""
    for classes, local, remote in (("sendmail, verify", 1, 0), ("all", 1, 1), ("verify", 0, 0)):
        server = make_instance(MAIN + [f"smtputf8_autodetect_classes = {classes}"])
        server.sendmail("Subject: é\n\nx\n", "x@later.test")
        queue_id = server.wait_log(r"pickup\[\d+\]: ([0-9A-F]+): uid")[1]
        assert sendopts(server, queue_id) == local
        with server.connect() as wire:
            wire.say("EHLO c.test")
            assert sendopts(server, send(wire, "s@a.test", "Subject: é\r\n\r\nx\r\n.\r\n".encode(), to="y@later.test")) == remote
            assert sendopts(server, send(wire, "s@a.test", to="z@later.test")) == 0


def test_restriction_classes(make_instance):
    """smtpd_restriction_classes: named lists, used by a list and by a table, one in the other."""
    server = make_instance(MAIN + [
        "smtpd_restriction_classes = strict, stricter", "strict = reject_non_fqdn_recipient, stricter",
        "stricter = check_recipient_access inline:{ {bob@lab.test=REJECT not bob} }",
        "smtpd_sender_restrictions = check_sender_access inline:{s@a.test=strict}, stricter"])
    with server.connect() as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<s@a.test>")
        assert wire.say(f"RCPT TO:<{USER}>") == f"504 5.5.2 <{USER}>: Recipient address rejected: need fully-qualified address"
        assert wire.say("RCPT TO:<bob@lab.test>") == "554 5.7.1 <bob@lab.test>: Recipient address rejected: not bob"
        assert wire.say(f"RCPT TO:<{ME}>") == "250 2.1.5 Ok"
        wire.say("RSET")
        wire.say("MAIL FROM:<t@a.test>")
        assert wire.say(f"RCPT TO:<{USER}>") == "250 2.1.5 Ok"
        assert wire.say("RCPT TO:<bob@lab.test>") == "554 5.7.1 <bob@lab.test>: Recipient address rejected: not bob"


def test_lists_at_their_own_command(make_instance):
    server = make_instance(MAIN + [
        "smtpd_delay_reject = no", "smtpd_client_restrictions = check_client_access inline:{ {127.0.0.3=REJECT not you} }",
        "smtpd_helo_restrictions = check_helo_access inline:{ {bad.test=REJECT your name} }",
        "smtpd_sender_restrictions = check_sender_access inline:{ {s@bad.test=REJECT no} }"])
    with server.connect() as wire:
        assert wire.say("EHLO bad.test") == "554 5.7.1 <bad.test>: Helo command rejected: your name"
        assert wire.say("MAIL FROM:<s@bad.test>") == "554 5.7.1 <s@bad.test>: Sender address rejected: no"
        send(wire, "s@good.test")
    with server.connect("127.0.0.3") as wire:
        assert wire.greeting == "554 5.7.1 <unknown[127.0.0.3]>: Client host rejected: not you"
        assert wire.say("EHLO c.test") == "503 5.7.0 Error: access denied for unknown[127.0.0.3]"
        assert wire.say("QUIT") == "221 2.0.0 Bye"
    server.wait_log(r"NOQUEUE: reject: CONNECT from unknown\[127\.0\.0\.3\]: 554 5\.7\.1 ")


def test_unlisted_sender(make_instance):
    server = make_instance(MAIN + ["smtpd_reject_unlisted_sender = yes"])
    with server.connect() as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<nosuch@lab.test>")
        assert wire.say(f"RCPT TO:<{ME}>") == \
            "550 5.1.0 <nosuch@lab.test>: Sender address rejected: User unknown in local recipient table"


def test_access_actions_change_the_message(make_instance):
    actions = ["{f@a.test = FILTER retry:filtered}", "{r@a.test = REDIRECT x@later.test}", f"{{b@a.test = BCC {ME}}}",
               "{p@a.test = PREPEND X-Seen: by us}"]
    server = make_instance(MAIN + [f"smtpd_sender_restrictions = check_sender_access inline:{{ {' '.join(actions)} }}"])
    with server.connect() as wire:
        wire.say("EHLO c.test")
        filtered = send(wire, "f@a.test")
        server.wait_log(rf"{filtered}: to=<{re.escape(ME)}>.*status=deferred \(filtered\)")
        redirected = send(wire, "r@a.test", to="y@later.test")
        assert b">\x0cx@later.test" in queue_file(server, redirected)  # qmgr's to obey
        copied = send(wire, "b@a.test", to="y@later.test")
        server.wait_log(rf"{copied}: to=<{re.escape(ME)}>.*status=sent")
        send(wire, "p@a.test")
    message = [m for m in server.wait_mail(2) if b"X-Seen" in m][0]
    assert message.index(b"\nX-Seen: by us\nReceived: ") > 0


def test_limits_count_as_postfix_counts(make_instance):
    """The junk limit is exceeded by the second command beyond it; a delivered message forgives."""
    server = make_instance(MAIN + ["smtpd_junk_command_limit = 2", "smtpd_hard_error_limit = 2"])
    with server.connect() as wire:
        wire.say("EHLO c.test")
        wire.say("NOOP")
        wire.say("NOOP")
        send(wire, "s@a.test")
        replies = [wire.say("NOOP") for _ in range(6)]
        assert replies == ["250 2.0.0 Ok"] * 5 + ["421 4.7.0 mx.lab.test Error: too many errors"]


def test_full_name_in_a_charset(make_instance):
    """full_name_encoding_charset names the character set of an encoded word."""
    server = make_instance(MAIN + ["full_name_encoding_charset = x-mine"])
    server.sendmail("Subject: x\n\nx\n", "-F", "é x", USER)
    assert b"\nFrom: =?x-mine?Q?=C3=A9_x?= <" in server.wait_mail()[0]
