"""What senders are told: probes, delivery reports, success, delay and its end, in ASCII and UTF-8; and what administrators
ask of single messages (expiry, unthrottling)."""
import email
import os
import re
import smtplib
import struct
import subprocess
import time

import pytest

from fake_smtp import FakeSMTP, ehlo
from instance import BIN, USER, free_port, wait_until
from master_helpers import END, MESSAGE, Inner

MAIN = ["myhostname = mx.lab.test", "mydestination = lab.test mx.lab.test localhost", "local_recipient_maps =", "mynetworks = 127.0.0.0/8",
        "smtpd_peername_lookup = no", "virtual_alias_domains = valias.test",
        f"virtual_alias_maps = inline:{{ {{info@valias.test = x@discard.test, {USER}@lab.test}} }}"]
QUICK = ["minimal_backoff_time = 1s", "maximal_backoff_time = 1s", "queue_run_delay = 1s", "transport_retry_time = 1s"]


def record(kind, data=b""):
    assert len(data) < 128
    return kind + bytes([len(data)]) + (data.encode() if isinstance(data, str) else data)


def probe(server, sender, *recipients):
    """What `sendmail -bv` hands to postdrop."""
    text = record(b"A", b"rewrite_context=local") + record(b"S", sender.encode()) + record(b"A", b"trace_flags=512")
    text += b"".join(record(b"R", r.encode()) for r in recipients)
    text += record(b"M") + record(b"N", b"Subject: probe") + record(b"N") + record(b"X") + record(b"E")
    done = subprocess.run([f"{BIN}/postdrop", "-c", server.etc], input=text, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def transports(*pairs):
    return "transport_maps = inline:{ " + " ".join(f"{{{domain}={where}}}" for domain, where in pairs) + " }"


def reports(server, subject, count=1):
    def found():
        messages = [email.message_from_bytes(m) for m in server.mailbox()]
        return len(messages := [m for m in messages if m["Subject"] == subject]) >= count and messages
    return wait_until(found, 20, f"{subject!r}\n{server.log()[-5000:]}")


def status_of(report):
    """{recipient: fields} of the machine-readable part."""
    part = report.get_payload()[1]
    return {fields["Final-Recipient"].split("; ")[1]: fields for fields in part.get_payload()[1:]}


def submit(server, sender, *recipients, text="Subject: x\r\n\r\nbody\r\n", mail=(), rcpt=()):
    with server.smtp() as client:
        client.sendmail(sender, list(recipients), text, mail, rcpt)


@pytest.fixture
def fake():
    made = []

    def make(**script):
        made.append(FakeSMTP("127.0.0.1", **script))
        return made[-1]
    yield make
    for one in made:
        one.close()


def test_a_probe_delivers_nothing_and_reports(make_instance, fake):
    peer = fake(rcpt=lambda a, c: "550 5.1.1 <x>: no such user here" if "rej" in a else "250 2.1.5 Ok")
    closed = free_port()
    server = make_instance([*MAIN, transports(("ok.test", f"smtp:[127.0.0.1]:{peer.port}"), ("refused.test", f"smtp:[127.0.0.1]:{closed}"),
                                              ("discard.test", "discard:quiet"))])
    probe(server, f"{USER}@lab.test", "info@valias.test", f"{USER}@mx.lab.test", "nosuch@mx.lab.test", "x@refused.test", "x@ok.test", "rej@ok.test")
    report = reports(server, "Mail Delivery Status Report")[0]
    assert report["Auto-Submitted"] == "auto-replied" and report["Return-Path"] == "<>"
    fields = status_of(report)
    expected = {
        "x@discard.test": ("deliverable", "2.0.0", "X-Postfix; quiet"),
        f"{USER}@lab.test": ("deliverable", "2.0.0", "X-Postfix; delivery via local: delivers to maildir"),
        f"{USER}@mx.lab.test": ("deliverable", "2.0.0", "X-Postfix; delivery via local: delivers to maildir"),
        "nosuch@mx.lab.test": ("undeliverable", "5.1.1", "X-Postfix; delivery via local: unknown user: \"nosuch\""),
        "x@refused.test": ("undeliverable", "4.4.1", f"X-Postfix; connect to 127.0.0.1[127.0.0.1]:{closed}: Connection refused"),
        "x@ok.test": ("deliverable", "2.1.5", "smtp; 250 2.1.5 Ok"),
        "rej@ok.test": ("undeliverable", "5.1.1", "smtp; 550 5.1.1 <x>: no such user here"),
    }
    assert {r: (f["Action"], f["Status"], re.sub(r"\n +", " ", f["Diagnostic-Code"])) for r, f in fields.items()} == expected
    assert fields["x@ok.test"]["Remote-MTA"] == "dns; 127.0.0.1"
    text = re.sub(r"\n +", " ", report.get_payload()[0].get_payload())
    assert f"<{USER}@lab.test> (expanded from <info@valias.test>): delivery via local: delivers to maildir\n" in text
    assert f"<x@ok.test>: delivery via 127.0.0.1[127.0.0.1]:{peer.port}: 250 2.1.5 Ok\n" in text
    assert "<x@discard.test> (expanded from <info@valias.test>): quiet\n" in text
    server.wait_log(r"to=<x@ok\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, .*dsn=2\.1\.5, status=deliverable \(250 2\.1\.5 Ok\)$")
    server.wait_log(r"to=<x@refused\.test>, relay=none, .*dsn=4\.4\.1, status=undeliverable \(")
    server.wait_log(r"sender delivery status notification: [0-9A-F]+$")
    server.wait_empty()
    assert not any(c.startswith("DATA") for c in peer.commands)
    assert [m for m in server.mailbox() if b"Subject: probe" in m and b"multipart/report" not in m] == []
    assert os.listdir(f"{server.queue}/trace") == []


def test_sendmail_v_delivers_and_reports(make_instance, fake):
    peer = fake()
    server = make_instance([*MAIN, *QUICK, transports(("ok.test", f"smtp:[127.0.0.1]:{peer.port}"), ("later.test", "retry:4.7.1 not now"))])
    server.sendmail("Subject: v\n\nbody\n", "-v", "-f", f"{USER}@lab.test", f"{USER}@lab.test", "x@ok.test", "nosuch@lab.test", "x@later.test")
    fields = status_of(reports(server, "Mail Delivery Status Report")[0])
    assert {r: f["Action"] for r, f in fields.items()} == {f"{USER}@lab.test": "delivered", "x@ok.test": "relayed", "nosuch@lab.test": "failed",
                                                         "x@later.test": "delayed"}
    server.wait_log(r"to=<x@ok\.test>.*status=sent")
    assert [m for m in server.mailbox() if b"\nSubject: v\n" in m and b"multipart/report" not in m]
    assert reports(server, "Undelivered Mail Returned to Sender")
    server.wait_log(r"to=<x@later\.test>.*status=deferred", 20, count=3)
    assert len(reports(server, "Mail Delivery Status Report")) == 1, "of the first attempt alone"


@pytest.mark.parametrize("offered, expected", [("DSN", None), ("8BITMIME", "relayed")])
def test_notify_success_is_handed_on_or_answered(make_instance, fake, offered, expected):
    """RFC 3461 5.2: a next hop without DSN makes it ours to say "relayed"."""
    peer = fake(ehlo=ehlo(offered))
    server = make_instance([*MAIN, transports(("ok.test", f"smtp:[127.0.0.1]:{peer.port}"))])
    submit(server, f"{USER}@lab.test", "x@ok.test", f"{USER}@lab.test", mail=["ENVID=QQ31"], rcpt=["NOTIFY=SUCCESS"])
    report = reports(server, "Successful Mail Delivery Report")[0]
    fields = status_of(report)
    assert fields[f"{USER}@lab.test"]["Action"] == "delivered"
    assert (fields["x@ok.test"]["Action"] if "x@ok.test" in fields else None) == expected
    assert report.get_payload()[1].get_payload()[0]["Original-Envelope-Id"] == "QQ31"


def test_of_an_alias_is_told_that_it_was_expanded(make_instance):
    """RFC 3461 5.2.7.3: and nothing of what that led to."""
    server = make_instance([*MAIN, transports(("discard.test", "discard:"))])
    submit(server, f"{USER}@lab.test", "info@valias.test", mail=["ENVID=QQ31"], rcpt=["NOTIFY=SUCCESS"])
    report = reports(server, "Successful Mail Delivery Report")[0]
    assert {r: (f["Action"], f["Status"]) for r, f in status_of(report).items()} == {"info@valias.test": ("expanded", "2.0.0")}
    server.wait_empty()
    assert len(server.mailbox()) == 2 and os.listdir(f"{server.queue}/trace") == []


def test_an_alias_too_long_for_a_report_is_taken(make_instance):
    """Its ORCPT, which the recipient's own address makes, is left out."""
    server = make_instance([*MAIN, "virtual_alias_domains = long.test", f"virtual_alias_maps = inline:{{ @long.test={USER}@lab.test }}"])
    long = "a" * 1100 + "@long.test"
    submit(server, f"{USER}@lab.test", long, rcpt=["NOTIFY=SUCCESS"])
    fields = status_of(reports(server, "Successful Mail Delivery Report")[0])
    assert [f["Action"] for f in fields.values()] == ["expanded"] and not any("Original-Recipient" in f for f in fields.values())
    server.wait_empty()


def test_mail_whose_alias_cannot_be_told_of_is_not_taken(make_instance):
    server = make_instance([*MAIN, transports(("discard.test", "discard:")), "trace_service_name = nowhere", "ipc_timeout = 2s"])
    with pytest.raises(smtplib.SMTPDataError, match="451"):
        submit(server, f"{USER}@lab.test", "info@valias.test", rcpt=["NOTIFY=SUCCESS"])
    server.wait_log(r"cleanup\[\d+\]: warning: [0-9A-F]+: trace service: ")
    submit(server, f"{USER}@lab.test", "info@valias.test", rcpt=["NOTIFY=NEVER"])
    assert len(server.wait_mail(1)) == 1
    server.wait_empty()


def test_no_report_without_being_asked(make_instance):
    server = make_instance(MAIN)
    submit(server, f"{USER}@lab.test", f"{USER}@lab.test")
    server.wait_log("removed")
    assert len(server.mailbox()) == 1


def test_delay_is_told_once_and_its_end_too(make_instance, fake):
    port = free_port()
    server = make_instance([*MAIN, *QUICK, "delay_warning_time = 2s", "confirm_delay_cleared = yes", "notify_classes = delay",
                            f"delay_notice_recipient = {USER}+late@lab.test", "recipient_delimiter = +",
                            transports(("late.test", f"smtp:[127.0.0.1]:{port}"))])
    submit(server, f"{USER}@lab.test", "x@late.test", "y@late.test")
    queue_id = server.wait_log(r" ([0-9A-F]+): to=<x@late\.test>.*status=deferred")[1]
    report = reports(server, "Delayed Mail (still being retried)")[0]
    server.wait_log(rf"{queue_id}: sender delay notification: [0-9A-F]+$")
    server.wait_log(rf"{queue_id}: postmaster delay notification: [0-9A-F]+$")
    copy = reports(server, "Postmaster Warning: Delayed Mail")[0]
    assert copy["X-Original-To"] == f"{USER}+late@lab.test"
    fields = status_of(report)["x@late.test"]
    assert fields["Action"] == "delayed" and fields["Status"] == "4.4.1" and fields["Will-Retry-Until"]
    time.sleep(3)
    assert server.log().count("sender delay notification") == 1
    peer = FakeSMTP("127.0.0.1", port)
    server.command("postqueue", "-f")
    done = status_of(reports(server, "Successful Mail Delivery Report")[0])
    assert {r: f["Action"] for r, f in done.items()} == {"x@late.test": "relayed", "y@late.test": "relayed"}
    peer.close()


def test_no_delay_notice_for_notify_without_delay_or_null_sender(make_instance, fake):
    peer = fake(rcpt="450 4.7.1 not now")
    server = make_instance([*MAIN, *QUICK, "delay_warning_time = 1s", transports(("late.test", f"smtp:[127.0.0.1]:{peer.port}"))])
    submit(server, f"{USER}@lab.test", "x@late.test", rcpt=["NOTIFY=FAILURE"])
    submit(server, "", "y@late.test")
    server.wait_log(r"to=<[xy]@late\.test>.*status=deferred", count=8)
    assert "delay notification" not in server.log()
    assert server.mailbox() == []


def test_without_confirmation_nothing_is_said_of_the_end_of_a_delay(make_instance):
    port = free_port()
    server = make_instance([*MAIN, *QUICK, "delay_warning_time = 1s", transports(("late.test", f"smtp:[127.0.0.1]:{port}"))])
    submit(server, f"{USER}@lab.test", "x@late.test")
    server.wait_log("sender delay notification")
    peer = FakeSMTP("127.0.0.1", port)
    server.command("postqueue", "-f")
    server.wait_log(r"to=<x@late\.test>.*status=sent")
    server.wait_empty()
    assert len(server.mailbox()) == 1
    peer.close()


# --- SMTPUTF8 ---

def drop_utf8(server, sender, recipient, subject="x"):
    """A file in incoming as cleanup makes it for MAIL ... SMTPUTF8: sendopts 1."""
    content = record(b"N", f"Subject: {subject}".encode()) + record(b"N") + record(b"N", b"body")
    head = record(b"T", b"%d 1" % time.time()) + record(b"A", b"rewrite_context=local") + record(b"S", sender.encode())
    head += record(b"O", recipient.encode()) + record(b"R", recipient.encode()) + record(b"M")
    tail = record(b"X") + record(b"E")
    size = b" ".join(b"%15d" % n for n in (len(content), 97 + len(head), 1, 0, len(content), 1))
    name = "ABCDE12345"
    path = f"{server.queue}/incoming/{name}"
    with open(path, "wb") as file:
        file.write(b"C\x5f" + size + head + content + tail)
    inode = os.stat(path).st_ino
    name = f"ABCDE{inode:X}"
    os.rename(path, f"{server.queue}/incoming/{name}")
    os.chmod(f"{server.queue}/incoming/{name}", 0o700)
    server.command("postqueue", "-f")
    return name


def test_utf8_address_for_a_server_without_smtputf8_bounces_in_utf8(make_instance, fake):
    peer = fake(ehlo=ehlo("8BITMIME"))
    server = make_instance([*MAIN, transports(("ok.test", f"smtp:[127.0.0.1]:{peer.port}"))])
    name = drop_utf8(server, f"{USER}@lab.test", "\u00e9@ok.test")
    server.wait_log(rf"{name}: to=<\S+@ok\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, .*dsn=5\.6\.7, status=bounced "
                    r"\(SMTPUTF8 is required, but was not offered by host 127\.0\.0\.1\[127\.0\.0\.1\]\)")
    assert not any(c.startswith("MAIL") for c in peer.commands)
    text = server.wait_mail()[0].decode()
    assert "report-type=delivery-status" in text
    assert "\nContent-Type: message/global-delivery-status\n" in text
    assert "\nFinal-Recipient: utf-8; \u00e9@ok.test\n" in text
    assert "\nContent-Type: message/global\n" in text
    assert f"\nX-Postfix-Sender: rfc822; {USER}@lab.test\n" in text


def test_utf8_is_sent_where_it_is_offered_and_another_server_is_tried(make_instance, fake):
    """Of two next hops the first lacks it (3.11: others are tried)."""
    plain, able = fake(ehlo=ehlo("8BITMIME")), fake(ehlo=ehlo("8BITMIME", "SMTPUTF8"))
    server = make_instance([*MAIN, transports(("ok.test", f"smtp:[127.0.0.1]:{plain.port},[127.0.0.1]:{able.port}"))])
    drop_utf8(server, f"{USER}@lab.test", "\u00e9@ok.test")
    server.wait_log(rf"relay=127\.0\.0\.1\[127\.0\.0\.1\]:{able.port}, .*status=sent")
    assert f"MAIL FROM:<{USER}@lab.test> SMTPUTF8" in able.commands and "RCPT TO:<\u00e9@ok.test>" in able.commands
    assert not any(c.startswith("MAIL") for c in plain.commands)


def test_utf8_waits_while_a_server_that_may_have_it_is_away(make_instance, fake):
    plain = fake(ehlo=ehlo("8BITMIME"))
    server = make_instance([*MAIN, transports(("ok.test", f"smtp:[127.0.0.1]:{free_port()},[127.0.0.1]:{plain.port}"))])
    drop_utf8(server, f"{USER}@lab.test", "\u00e9@ok.test")
    server.wait_log(r"dsn=4\.6\.7, status=deferred \(SMTPUTF8 is required")


def test_smtputf8_that_is_not_needed_goes_anywhere(make_instance, fake):
    peer = fake(ehlo=ehlo("8BITMIME"))
    server = make_instance([*MAIN, transports(("ok.test", f"smtp:[127.0.0.1]:{peer.port}"))])
    drop_utf8(server, f"{USER}@lab.test", "x@ok.test")
    server.wait_log("status=sent")
    assert f"MAIL FROM:<{USER}@lab.test>" in peer.commands


def test_utf8_in_the_header_alone_needs_it(make_instance, fake):
    peer = fake(ehlo=ehlo("8BITMIME"))
    server = make_instance([*MAIN, transports(("ok.test", f"smtp:[127.0.0.1]:{peer.port}"))])
    drop_utf8(server, f"{USER}@lab.test", "x@ok.test", "\u00e9")
    server.wait_log(r"dsn=5\.6\.7, status=bounced")


# --- what the administrator wants of a message ---

def inner_trigger(server, letters):
    """Wakes qmgr as flush does, without the scan of deferred mail that postqueue -f asks for."""
    flags = sum({"I": 1, "D": 2, "A": 4, "F": 8}[letter] for letter in letters)
    client = Inner(server, "public/qmgr")
    client.frame(1, MESSAGE, END, 3, struct.pack("<I", flags))
    while (frame := client.receive()) and frame[0] != 1:
        pass
    assert frame and frame[3] == 2  # the backlog
    client.close()


def deferred_path(server, queue_id):
    return next((p for p in (f"{server.queue}/deferred/{queue_id[0]}/{queue_id}", f"{server.queue}/deferred/{queue_id}") if os.path.exists(p)), None)


def test_forced_expiry_returns_the_message_with_its_reasons(make_instance, fake):
    peer = fake(rcpt="450 4.7.1 not now")
    server = make_instance([*MAIN, transports(("late.test", f"smtp:[127.0.0.1]:{peer.port}"))])
    submit(server, f"{USER}@lab.test", "x@late.test")
    queue_id = server.wait_log(r" ([0-9A-F]+): to=<x@late\.test>.*status=deferred")[1]
    path = wait_until(lambda: deferred_path(server, queue_id))
    os.chmod(path, 0o710)
    server.command("postqueue", "-f")
    server.wait_log(rf"{queue_id}: from=<{USER}@lab\.test>, status=force-expired, returned to sender")
    report = reports(server, "Undelivered Mail Returned to Sender")[0]
    fields = status_of(report)["x@late.test"]
    assert fields["Action"] == "failed" and "not now" in fields["Diagnostic-Code"]
    server.wait_empty()
    assert server.log().count("status=deferred") == 1  # no other attempt


def test_forced_expiry_of_a_message_never_tried(make_instance, fake):
    """Its sender must hear of it: there are no reasons yet, so it is tried once."""
    peer = fake(rcpt="450 4.7.1 not now")
    server = make_instance([*MAIN, transports(("late.test", f"smtp:[127.0.0.1]:{peer.port}"))])
    name = drop_utf8(server, f"{USER}@lab.test", "x@late.test")
    server.wait_log("status=deferred")
    path = wait_until(lambda: deferred_path(server, name))
    server.stop()
    for root, _, files in os.walk(f"{server.queue}/defer"):
        for file in files:
            os.unlink(f"{root}/{file}")
    os.chmod(path, 0o710)
    os.utime(path, (1, 1))
    server.start()
    reports(server, "Undelivered Mail Returned to Sender")
    server.wait_empty()


def test_unthrottle_bit_tries_a_dead_destination(make_instance):
    port = free_port()
    server = make_instance([*MAIN, transports(("late.test", f"smtp:[127.0.0.1]:{port}")), "minimal_backoff_time = 1000s",
                            "initial_destination_concurrency = 1"])
    submit(server, f"{USER}@lab.test", "x@late.test")
    queue_id = server.wait_log(r" ([0-9A-F]+): to=<x@late\.test>.*status=deferred")[1]
    submit(server, f"{USER}@lab.test", "y@late.test")
    server.wait_log(r"to=<y@late\.test>.*status=deferred \(delivery temporarily suspended")
    peer = FakeSMTP("127.0.0.1", port)
    path = wait_until(lambda: deferred_path(server, queue_id))
    os.chmod(path, 0o740)
    os.rename(path, f"{server.queue}/incoming/{queue_id}")
    inner_trigger(server, "I")
    server.wait_log(rf"{queue_id}: to=<x@late\.test>.*status=sent", 15)
    peer.close()


def test_deferred_mail_is_noted_for_its_site(make_instance, fake):
    """fast_flush_domains: the recipient's domain and the queue id reach the flush service, once a message."""
    if not os.path.exists(f"{os.path.dirname(BIN)}/libexec/flush"):
        pytest.skip("flush is not built")
    peer = fake(rcpt="450 4.7.1 not now")
    server = make_instance([*MAIN, "fast_flush_domains = late.test", f"relayhost = [127.0.0.1]:{peer.port}"])
    with open(f"{server.etc}/master.cf", encoding="utf-8") as file:
        if not re.search("^flush ", file.read(), re.M):
            server.configure(master=["flush unix n - n 1000? 0 flush"])
            server.reload()
    submit(server, f"{USER}@lab.test", "x@late.test", "y@late.test")
    submit(server, f"{USER}@lab.test", "x@other.test")
    queue_id = server.wait_log(r" ([0-9A-F]+): to=<x@late\.test>.*status=deferred")[1]
    server.wait_log(r"to=<x@other\.test>.*status=deferred")
    path = f"{server.queue}/flush/late_test"
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 0, what="a note\n" + server.log()[-3000:])
    with open(path, encoding="utf-8") as file:
        assert file.read().split() == [queue_id]
    assert os.listdir(f"{server.queue}/flush") == ["late_test"]
