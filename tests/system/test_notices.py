"""What a site may change about notices: texts, threads, filters, the form of the log."""
import email
import os
import re

import pytest

from instance import USER, wait_until

MAIN = ["myhostname = mx.lab.test", "mydestination = lab.test mx.lab.test localhost", "local_recipient_maps =", "smtpd_peername_lookup = no", "smtpd_reject_unlisted_recipient = no"]
REFUSED = "transport_maps = inline:{ {far.test = error:5.1.1 no such user} {late.test = retry:4.2.1 busy} }"
TEXT = "Subject: x\r\nMessage-ID: <one@lab.test>\r\n\r\nbody\r\n"


def notice_of(server, recipient="nouser@far.test"):
    with server.smtp() as client:
        client.sendmail(f"{USER}@lab.test", [recipient], TEXT)
    return email.message_from_bytes(server.wait_mail()[0])


def test_a_site_has_its_own_texts(make_instance):
    server = make_instance([*MAIN, REFUSED], start=False)
    with open(f"{server.etc}/bounce.cf", "w", encoding="utf-8") as file:
        file.write("failure_template = <<END\nCharset: utf-8\nFrom: Robot <robot@lab.test>\nSubject: Nope\n\nGrüße von $myhostname, $$1\nEND\n")
    server.configure([f"bounce_template_file = {server.etc}/bounce.cf"])
    server.start()
    notice = notice_of(server)
    assert notice["Subject"] == "Nope" and notice["From"] == "Robot <robot@lab.test>"
    part = notice.get_payload()[0]
    assert part.get_content_charset() == "utf-8"
    assert part.get_payload(decode=True).decode().startswith("Grüße von mx.lab.test, $1\n")
    shown = server.command("postconf", "-b").stdout
    assert "Grüße von mx.lab.test, $1\n" in shown and shown.count("<<EOF") == 4
    assert "Grüße von $myhostname, $$1\n" in server.command("postconf", "-t").stdout


@pytest.mark.parametrize("value, expected", [("yes", "<one@lab.test>"), ("no", None)])
def test_notices_stand_beside_what_they_are_about(make_instance, value, expected):
    notice = notice_of(make_instance([*MAIN, REFUSED, f"enable_threaded_bounces = {value}"]))
    assert notice["References"] == notice["In-Reply-To"] == expected


@pytest.mark.parametrize("classes, seen", [("bounce", True), ("notify", False)])
def test_notices_pass_header_checks_when_told(make_instance, classes, seen):
    server = make_instance([*MAIN, REFUSED, f"internal_mail_filter_classes = {classes}"], start=False)
    with open(f"{server.etc}/checks", "w", encoding="utf-8") as file:
        file.write("/^Subject: Undelivered/ WARN seen\n")
    server.configure([f"header_checks = regexp:{server.etc}/checks"])
    server.start()
    notice_of(server)
    assert ("warning: header Subject: Undelivered Mail Returned to Sender from local" in server.log()) == seen


@pytest.mark.parametrize("value, expected", [("yes", True), ("no", False)])
def test_the_log_has_the_old_line_or_not(make_instance, value, expected):
    server = make_instance([*MAIN, REFUSED, f"backwards_bounce_logfile_compatibility = {value}"])
    with server.smtp() as client:
        client.sendmail("s@lab.test", ["x@late.test"], TEXT)
    server.wait_log("status=deferred")

    def log():
        return [os.path.join(at, name) for at, _, names in os.walk(f"{server.queue}/defer") for name in names]
    path = wait_until(log, 10, "a log")[0]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert "\nrecipient=x@late.test\n" in text
    assert (re.search(r"^<x@late\.test>: ", text, re.M) is not None) == expected


def test_smtputf8_and_7_bit_have_the_same_outer_type(make_instance):
    """RFC 6533 has types for the parts; the report is one of delivery status either way."""
    server = make_instance([*MAIN, REFUSED])
    with server.smtp() as client:
        client.ehlo("c.test")
        client.sendmail(f"{USER}@lab.test", ["nouser@far.test"], TEXT, ["SMTPUTF8"])
    notice = email.message_from_bytes(server.wait_mail()[0])
    assert notice.get_param("report-type") == "delivery-status"
    assert [p.get_content_type() for p in notice.get_payload()] == ["text/plain", "message/global-delivery-status", "message/global"]
