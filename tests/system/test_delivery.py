"""What becomes of accepted mail: mailboxes, aliases, bounces, deferral, expiry, corrupt files, restarts."""
import email
import os
import re
import time

import pytest

from instance import USER, free_port, wait_until

QUICK = ["minimal_backoff_time = 2s", "maximal_backoff_time = 4s", "queue_run_delay = 1s", "smtpd_peername_lookup = no",
         "transport_retry_time = 1s", "service_throttle_time = 1s"]
TEXT = "From: {0}\r\nTo: {1}\r\nSubject: a test\r\n\r\nbody\r\n.leading dot\r\n"


def submit(server, sender, *recipients, text=None, mail_options=(), rcpt_options=()):
    with server.smtp() as client:
        client.sendmail(sender, list(recipients), text or TEXT.format(sender, recipients[0]), mail_options, rcpt_options)


def test_local_delivery_and_its_log_lines(make_instance):
    server = make_instance(["myhostname = mx.lab.test"])
    submit(server, "s@a.test", f"{USER}@localhost")
    text = server.wait_mail()[0].decode()
    assert re.match(rf"Return-Path: <s@a\.test>\nX-Original-To: {USER}@localhost\nDelivered-To: {USER}@localhost\n"
                    r"Received: from \S+ \(localhost \[127\.0\.0\.1\]\)\n\tby mx\.lab\.test \(Postfix\) with ESMTP id [0-9A-F]+\n"
                    rf"\tfor <{USER}@localhost>; \w{{3}}, \d\d \w{{3}} \d{{4}} [\d:]{{8}} [+-]\d{{4}} \(\w+\)\nFrom: s@a\.test\n", text), text
    assert re.search(r"\nMessage-Id: <\d{14}\.[0-9A-F]+@mx\.lab\.test>\nDate: [^\n]+\n\nbody\n\.leading dot\n$", text), text
    prefix = r"^\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ postfix/"
    server.wait_log(prefix + r"smtpd\[\d+\]: [0-9A-F]+: client=localhost\[127\.0\.0\.1\]$")
    server.wait_log(prefix + r"cleanup\[\d+\]: [0-9A-F]+: message-id=<[^>]+>$")
    server.wait_log(prefix + r"qmgr\[\d+\]: [0-9A-F]+: from=<s@a\.test>, size=\d+, nrcpt=1 \(queue active\)$")
    server.wait_log(prefix + rf"local\[\d+\]: [0-9A-F]+: to=<{USER}@localhost>, relay=local, delay=[\d.]+, "
                    r"delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, dsn=2\.0\.0, status=sent \(delivered to maildir\)$")
    server.wait_log(prefix + r"qmgr\[\d+\]: [0-9A-F]+: removed$")


def test_mail_for_the_host_name_and_postmaster(make_instance):
    server = make_instance(["myhostname = mx.lab.test"])
    submit(server, "s@a.test", f"{USER}@mx.lab.test", "postmaster")
    assert len(server.wait_mail(2)) == 2


def test_alias_to_addresses(make_instance):
    server = make_instance(["relayhost = ", "recipient_delimiter = +"], start=False)
    with open(f"{server.etc}/aliases", "a", encoding="utf-8") as file:
        file.write(f"team: {USER}, other\nother: {USER}+second@localhost\nloop: loop2\nloop2: loop\n")
    server.start()
    submit(server, "s@a.test", "team@localhost")
    messages = server.wait_mail(2)
    server.wait_log(r"orig_to=<team@localhost>, relay=local,.*status=sent \(delivered to maildir\)")
    assert all(b"Delivered-To: team@localhost\n" in m for m in messages)
    submit(server, "s@a.test", "loop@localhost")
    server.wait_log(r"alias database loop for loop2?\)")


def test_virtual_alias_and_virtual_mailbox(make_instance):
    server = make_instance(start=False)
    server.configure(["virtual_alias_domains = valias.test",
                      f"virtual_alias_maps = inline:{{ {{info@valias.test = v1@vmail.test, {USER}@localhost}} {{@catch.valias.test = {USER}@localhost}} }}",
                      "virtual_mailbox_domains = vmail.test", f"virtual_mailbox_base = {server.directory}/vmail",
                      "virtual_mailbox_maps = inline:{v1@vmail.test=v1/}"])
    server.start()
    submit(server, "s@a.test", "info@valias.test")
    text = server.wait_mail(1)[0]
    assert b"X-Original-To: info@valias.test\n" in text
    wait_until(lambda: os.path.isdir(f"{server.directory}/vmail/v1/new") and os.listdir(f"{server.directory}/vmail/v1/new"),
               what="mail in the virtual mailbox")
    server.wait_log(r"to=<v1@vmail\.test>, orig_to=<info@valias\.test>, relay=virtual,.*status=sent \(delivered to maildir\)")


BOUNCE_PARTS = ["text/plain", "message/delivery-status", "message/rfc822"]


def unknown_user(server, sender, **options):
    """A recipient that smtpd accepts and local does not know."""
    submit(server, sender, "nosuch@localhost", **options)


def test_bounce_is_a_multipart_report(make_instance):
    server = make_instance(["myhostname = mx.lab.test", "local_recipient_maps ="])
    unknown_user(server, f"{USER}@localhost", mail_options=["ENVID=QQ314159"], rcpt_options=["ORCPT=rfc822;first@x.test"])
    message = email.message_from_bytes(server.wait_mail(1)[0])
    assert message["Return-Path"] == "<>"
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mx.lab.test>"
    assert message["Subject"] == "Undelivered Mail Returned to Sender"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    parts = message.get_payload()
    assert [p.get_content_type() for p in parts] == BOUNCE_PARTS
    assert '<nosuch@localhost>: unknown user: "nosuch"' in parts[0].get_payload()
    about, recipient = parts[1].get_payload()[:2]
    assert about["Reporting-MTA"] == "dns; mx.lab.test"
    assert about["Original-Envelope-Id"] == "QQ314159"
    assert about["X-Postfix-Sender"] == f"rfc822; {USER}@localhost"
    assert recipient["Final-Recipient"] == "rfc822; nosuch@localhost"
    assert recipient["Original-Recipient"] == "rfc822;first@x.test"
    assert recipient["Action"] == "failed"
    assert recipient["Status"] == "5.1.1"
    assert recipient["Diagnostic-Code"] == 'X-Postfix; unknown user: "nosuch"'
    assert parts[2].get_payload()[0]["Subject"] == "a test"
    server.wait_log(r"to=<nosuch@localhost>, relay=local,.*dsn=5\.1\.1, status=bounced \(unknown user: \"nosuch\"\)")
    server.wait_log(r"bounce\[\d+\]: [0-9A-F]+: sender non-delivery notification: [0-9A-F]+")
    server.wait_empty()
    assert not os.listdir(f"{server.queue}/bounce")


def test_notify_never_and_null_sender_get_no_notice(make_instance):
    server = make_instance(["local_recipient_maps ="])
    unknown_user(server, f"{USER}@localhost", rcpt_options=["NOTIFY=NEVER"])
    unknown_user(server, "")
    server.wait_log(r"status=bounced", count=2)
    server.wait_log(r": removed", count=2)
    time.sleep(0.3)
    assert server.mailbox() == []


def test_double_bounce_goes_to_the_postmaster_when_asked_for(make_instance):
    server = make_instance(["local_recipient_maps =", "notify_classes = 2bounce, bounce"])
    unknown_user(server, "")
    text = server.wait_mail(1)[0]
    assert text.startswith(b"Return-Path: <double-bounce@")
    unknown_user(server, f"{USER}@localhost")
    subjects = {email.message_from_bytes(m)["Subject"] for m in server.wait_mail(3)}
    assert "Undelivered Mail Returned to Sender" in subjects and "Postmaster Copy: Undelivered Mail" in subjects


def test_refused_connection_defers_flush_retries_and_mailq_tells_why(make_instance):
    port = free_port()
    server = make_instance([f"transport_maps = inline:{{refused.test=smtp:[127.0.0.1]:{port}}}", "minimal_backoff_time = 300s"])
    submit(server, "s@a.test", "x@refused.test")
    reason = rf"connect to 127\.0\.0\.1\[127\.0\.0\.1\]:{port}: Connection refused"
    server.wait_log(rf"to=<x@refused\.test>, relay=none,.*dsn=4\.4\.1, status=deferred \({reason}\)")
    wait_until(lambda: any(m["queue_name"] == "deferred" for m in server.queued()), what="a deferred message")
    entry = server.queued()[0]
    assert re.fullmatch(reason, entry["recipients"][0]["delay_reason"])
    listing = server.command("postqueue", "-p").stdout
    assert re.search(rf"\n +\({reason}\)\n {{41}}x@refused\.test\n\n-- 0 Kbytes in 1 Request\.\n$", listing), listing
    path = [os.path.join(d, f) for d, _, files in os.walk(f"{server.queue}/deferred") for f in files][0]
    assert 290 <= os.stat(path).st_mtime - time.time() <= 301
    server.command("postqueue", "-f")
    server.wait_log(r"status=deferred \(connect to", count=2)


def test_dead_destination_suspends_other_mail_for_it(make_instance):
    port = free_port()
    server = make_instance([f"transport_maps = inline:{{refused.test=smtp:[127.0.0.1]:{port}}}", "minimal_backoff_time = 300s",
                            "initial_destination_concurrency = 1"])
    submit(server, "s@a.test", "x@refused.test")
    server.wait_log(r"status=deferred \(connect to")
    submit(server, "s@a.test", "y@refused.test")
    server.wait_log(r"to=<y@refused\.test>,.*status=deferred \(delivery temporarily suspended: connect to")


def test_expiry_returns_to_the_sender(make_instance):
    port = free_port()
    server = make_instance(QUICK + [f"transport_maps = inline:{{refused.test=smtp:[127.0.0.1]:{port}}}", "maximal_queue_lifetime = 3s"])
    submit(server, f"{USER}@localhost", "x@refused.test")
    server.wait_log(rf"from=<{USER}@localhost>, status=expired, returned to sender", 40)
    message = email.message_from_bytes(server.wait_mail(1)[0])
    recipient = message.get_payload()[1].get_payload()[1]
    assert recipient["Action"] == "failed" and recipient["Status"] == "4.4.1"
    server.wait_empty()


def test_backoff_grows_with_age(make_instance):
    port = free_port()
    server = make_instance(QUICK + [f"transport_maps = inline:{{refused.test=smtp:[127.0.0.1]:{port}}}"])
    submit(server, "s@a.test", "x@refused.test")
    server.wait_log(r"status=deferred", 40, count=3)


def test_one_corrupt_file_stops_nothing(make_instance):
    port = free_port()
    server = make_instance([f"transport_maps = inline:{{refused.test=smtp:[127.0.0.1]:{port}}}"])
    submit(server, "s@a.test", "x@refused.test")
    path = wait_until(lambda: [os.path.join(d, f) for d, _, files in os.walk(f"{server.queue}/deferred") for f in files],
                      what="a deferred file")[0]
    server.stop()
    os.truncate(path, os.path.getsize(path) - 3)
    os.utime(path, (1, 1))
    garbage = f"{server.queue}/incoming/ABCDEF123"
    with open(garbage, "wb") as file:
        file.write(b"\xff" * 1000)
    os.chmod(garbage, 0o700)
    server.start()
    submit(server, "s@a.test", f"{USER}@localhost")
    server.wait_mail(1)
    wait_until(lambda: len(os.listdir(f"{server.queue}/corrupt")) == 2, what="two files in corrupt")
    server.wait_log(r'warning: saving corrupt file "ABCDEF123" from queue "(incoming|active)" to queue "corrupt"')
    assert len(server.processes("qmgr")) == 1


def test_active_mail_survives_a_stop(make_instance):
    server = make_instance(["defer_transports = local"] + QUICK)
    submit(server, "s@a.test", f"{USER}@localhost")
    server.wait_log(r"status=deferred \(deferred transport\)|deferred transport")
    server.stop()
    assert server.processes() == []
    with open(f"{server.etc}/main.cf", encoding="utf-8") as file:
        text = file.read().replace("defer_transports = local\n", "")
    with open(f"{server.etc}/main.cf", "w", encoding="utf-8") as file:
        file.write(text)
    server.start()
    server.command("postqueue", "-f")
    server.wait_mail(1)


def test_reload_keeps_open_sessions(make_instance):
    server = make_instance()
    with server.connect() as wire:
        wire.say("EHLO c.test")
        wire.say("MAIL FROM:<s@a.test>")
        wire.say(f"RCPT TO:<{USER}@localhost>")
        server.reload()
        server.wait_log("reload -- version")
        time.sleep(0.3)
        submit(server, "s@a.test", f"{USER}@localhost")
        assert wire.say("DATA").startswith("354")
        assert wire.say("Subject: x\r\n\r\nx\r\n.").startswith("250 2.0.0 Ok: queued as")
        assert wire.say("QUIT") == "221 2.0.0 Bye"
    server.wait_mail(2)


def test_hundred_recipients_each_once(make_instance):
    server = make_instance(["recipient_delimiter = +", "transport_maps = inline:{discard.test=discard:}"])
    submit(server, "s@a.test", *[f"{USER}+{i}@localhost" for i in range(20)], *[f"r{i}@discard.test" for i in range(80)])
    assert len(server.wait_mail(20)) == 20
    server.wait_log(r"to=<r\d+@discard\.test>, relay=none,.*status=sent", count=80)
    server.wait_empty()
    assert len(server.mailbox()) == 20


def test_message_of_several_megabytes(make_instance):
    server = make_instance()
    body = "".join(f"line {i} " + "x" * (i % 900) + "\r\n" for i in range(10000))
    submit(server, "s@a.test", f"{USER}@localhost", text="Subject: big\r\n\r\n" + body)
    text = server.wait_mail(1)[0].decode()
    assert text.split("\n\n", 1)[1] == body.replace("\r\n", "\n")


def test_stop_leaves_no_process_and_start_works_again(make_instance):
    server = make_instance()
    submit(server, "s@a.test", f"{USER}@localhost")
    server.wait_mail(1)
    server.stop()
    assert server.processes() == []
    assert not server.is_up()
    server.start()
    assert server.is_up()
    submit(server, "s@a.test", f"{USER}@localhost")
    server.wait_mail(2)


@pytest.mark.parametrize("word", ["hash", "texthash", "regexp", "cidr", "static", "inline"])
def test_table_types_in_place(make_instance, word):
    server = make_instance(start=False)
    path = f"{server.etc}/table"
    text = {"regexp": "/^x@tab\\.test$/ discard:", "cidr": "127.0.0.0/8 OK"}.get(word, "tab.test discard:")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    table = {"static": "static:discard:", "inline": "inline:{tab.test=discard:}"}.get(word, f"{word}:{path}")
    if word == "cidr":
        server.configure([f"mynetworks = cidr:{path}"])
    else:
        server.configure([f"transport_maps = {table}"])
    if word == "hash":
        server.command("postmap", table)
    server.start()
    submit(server, "s@a.test", "x@tab.test" if word != "cidr" else f"{USER}@localhost")
    server.wait_log(r"status=sent")


def test_every_queue_may_be_hashed(make_instance):
    """hash_queue_names with all queues: mail goes through, is deferred, and is found again."""
    port = free_port()
    server = make_instance(["hash_queue_names = incoming, active, deferred, defer, bounce, hold", "hash_queue_depth = 2",
                            f"transport_maps = inline:{{refused.test=smtp:[127.0.0.1]:{port}}}"])
    submit(server, "s@a.test", f"{USER}@localhost", "x@refused.test")
    server.wait_mail(1)
    wait_until(lambda: any(m["queue_name"] == "deferred" for m in server.queued()), what="a deferred message")
    server.stop()
    server.start()
    server.command("postqueue", "-f")
    server.wait_log(r"to=<x@refused\.test>.*status=deferred", count=2)


def test_a_log_file_outside_its_prefixes_is_refused(make_instance):
    """maillog_file_prefixes: a typing error does not make us append to just any file."""
    server = make_instance(["maillog_file_prefixes = /var, /dev/stdout"], start=False)
    done = server.command("posthouse", "start", check=False)
    assert done.returncode == 1
    assert "does not begin with any of maillog_file_prefixes" in done.stderr


def test_more_recipients_than_the_file_counts_are_not_delivered_to(make_instance):
    """The size record bounds what qmgr reads: pointers that lead in a circle cannot make recipients without end."""
    port = free_port()
    server = make_instance([f"transport_maps = inline:{{refused.test=smtp:[127.0.0.1]:{port}}}"])
    submit(server, "s@a.test", "x@refused.test", "y@refused.test")
    path = wait_until(lambda: [os.path.join(d, f) for d, _, files in os.walk(f"{server.queue}/deferred") for f in files],
                      what="a deferred file")[0]
    server.stop()
    with open(path, "r+b") as file:  # field 3 of the size record
        file.seek(2 + 2 * 16)
        assert file.read(15) == b"%15d" % 2
        file.seek(2 + 2 * 16)
        file.write(b"%15d" % 1)
    os.utime(path, (1, 1))
    server.start()
    server.wait_log(r"cannot read recipients")
    assert len(server.processes("qmgr")) == 1
