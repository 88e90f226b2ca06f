"""What SMTP's extensions say, to other systems and back (test_peers.py has the ways): delivery status notifications, 8-bit bodies,
internationalised addresses, the null sender, a thousand recipients. One test, since a peer takes seconds to start."""
import email
import re
import smtplib

from instance import USER, wait_until
from test_peers import ALIASES, peer  # noqa: F401

SENDER = f"{USER}@ours.test"
EIGHT = "Subject: {}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
TEXT = "Grüße = ☃\nFrom here\n.\n..\nspace \n" + "ü" * 400 + "\n"


def port(exchange):
    return int(re.search(r"peer\.test=smtp:\[127\.0\.0\.1\]:(\d+)", exchange.server.command("postconf", "-h", "transport_maps").stdout)[1])


def keywords(exchange):
    with smtplib.SMTP("127.0.0.1", port(exchange), timeout=20) as client:
        client.ehlo("ours.test")
        return set(client.esmtp_features)


def again(exchange, *main):
    """Done when who read the settings of before is gone: one of them might still take the next message."""
    def readers():
        return {pid for program in ("smtpd", "smtp") for pid in exchange.server.processes(program)}
    before = readers()
    exchange.server.command("postconf", "-e", *main)
    exchange.server.reload()
    wait_until(lambda: not before & readers(), 60, "the processes of before to end")


def report(exchange, subject):
    """The one notification about the message of that subject: (status fields as text, the whole as text)."""
    def found():
        for text in exchange.server.mailbox():
            # OpenSMTPD's are multipart/mixed.
            status = [part for part in email.message_from_bytes(text).walk() if part.get_content_subtype().endswith("delivery-status")]
            if status and f"\nSubject: {subject}\n".encode() in text:
                fields = status[0].get_payload()
                yield fields if isinstance(fields, str) else "\n".join(map(str, fields)), text.decode()
    try:
        reports = wait_until(lambda: list(found()), 30, f"a report about {subject!r}")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{exchange.server.log()[-4000:]}") from None
    assert len(reports) == 1, reports
    return reports[0]


def notifications(exchange):
    """Passed on: the peer reports when it ends there, we when it comes back, where an alias takes it. To a peer that does not know
    them: relayed."""
    exchange.send(SENDER, ["u1@peer.test"], "Subject: delivered\r\n\r\nthe text\r\n", ["ENVID=QQ+2B31", "RET=HDRS"],
                  ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first+2Blast@old.test"])
    fields, text = report(exchange, "delivered")
    assert re.search(r"(?m)^Action: (delivered|expanded)$", fields) and re.search(r"(?mi)^Original-Envelope-Id: QQ\+", fields), fields
    assert re.search(r"(?mi)^Original-Recipient: rfc822; ?first\+(2B)?last@old\.test$", fields) and "the text" not in text, text

    exchange.send(SENDER, ["nosuch@peer.test"], "Subject: failed\r\n\r\nthe text\r\n", ["ENVID=QQ32", "RET=FULL"],
                  ["NOTIFY=FAILURE", "ORCPT=rfc822;second@old.test"])
    fields, text = report(exchange, "failed")
    assert re.search(r"(?m)^Action: failed$", fields) and "\nOriginal-Envelope-Id: QQ32\n" in fields and "\nOriginal-Recipient: rfc822;second@old.test\n" in fields
    assert "\nthe text\n" in text and re.search(r"(?m)^Status: 5\.", fields)

    exchange.send(SENDER, ["nosuch@peer.test"], "Subject: never\r\n\r\nx\r\n", rcpt=["NOTIFY=NEVER"])
    again(exchange, "smtp_discard_ehlo_keywords = dsn")
    exchange.send(SENDER, ["u2@peer.test"], "Subject: relayed\r\n\r\nx\r\n", rcpt=["NOTIFY=SUCCESS"])
    fields, _ = report(exchange, "relayed")
    assert re.search(r"(?m)^Action: relayed$", fields) and "\nFinal-Recipient: rfc822; u2@peer.test\n" in fields and "\nRemote-MTA: dns; 127.0.0.1\n" in fields, fields
    exchange.server.wait_empty()
    assert not any(b"Subject: never" in m for m in exchange.server.mailbox())


def eight_bit(exchange):
    """As it is where all take it; by us, or by a peer that does such, made 7-bit where not."""
    for name, settings in (("both", ("smtp_discard_ehlo_keywords =",)), ("peer lacks it", ("smtp_discard_ehlo_keywords = 8bitmime",)),
                           ("ours lacks it", ("smtp_discard_ehlo_keywords =", "smtpd_discard_ehlo_keywords = 8bitmime"))):
        again(exchange, *settings)
        exchange.send("s@a.test", ["u1@peer.test"], (EIGHT.format(name) + TEXT.replace("\n", "\r\n")).encode())
        mail = email.message_from_bytes(exchange.arrived(name)[0])
        # Sendmail writes the line ends of what it encodes.
        assert mail.get_payload(decode=True).decode().replace("\r\n", "\n") == TEXT, (name, mail.as_bytes())
        if name != "ours lacks it":
            assert mail["Content-Transfer-Encoding"] == {"both": "8bit", "peer lacks it": "quoted-printable"}[name]
    again(exchange, "smtpd_discard_ehlo_keywords =")


def unicode(exchange):
    """There and back; a peer without SMTPUTF8 is not asked."""
    recipient = "üser@peer.test"
    with smtplib.SMTP("127.0.0.1", exchange.server.port, timeout=60) as client:
        client.ehlo("a.test")
        client.sendmail(SENDER, [recipient], "Subject: unicode ☃\r\n\r\nü\r\n".encode(), ["SMTPUTF8"])
    if "smtputf8" in keywords(exchange):
        mail = exchange.arrived("unicode ☃")[0].decode()
        assert "\nX-Original-To: üser@back.test\n" in mail and mail.endswith("\n\nü\n")
    else:
        fields, text = report(exchange, "unicode ☃")
        assert "\nAction: failed\n" in fields and "\nStatus: 5.6.7\n" in fields and f"\nFinal-Recipient: utf-8; {recipient}\n" in text, text


def null_senders(exchange):
    """Our bounce goes to the peer, whose user's mail comes back; the peer's bounce comes to us."""
    exchange.send("u7@peer.test", ["nosuch@peer.test"], "Subject: ours bounces\r\n\r\nx\r\n")
    fields, text = report(exchange, "ours bounces")
    assert text.startswith("Return-Path: <>\nX-Original-To: u7@back.test\n") and "Final-Recipient: rfc822; nosuch@peer.test" in fields, text
    with smtplib.SMTP("127.0.0.1", port(exchange), timeout=60) as client:
        client.sendmail(SENDER, ["unknown@ours.test"], "Subject: peer bounces\r\n\r\nx\r\n")
    fields, text = report(exchange, "peer bounces")
    assert text.startswith("Return-Path: <>\n") and "unknown@ours.test" in fields and "Reporting-MTA: dns; peer.test" in fields, text
    assert re.search(r"(?m)^Status: 5\.[01]\.[01]$", fields) and "5.1.1" in text, text


def thousand(exchange):
    """In one transaction to the peer; each of them once."""
    again(exchange, "smtp_destination_recipient_limit = 1000")
    exchange.send("s@a.test", [f"{alias}@peer.test" for alias in ALIASES], "Subject: thousand\r\n\r\nx\r\n")
    mails = exchange.arrived("thousand", len(ALIASES), 180)
    assert sorted(re.search(rb"X-Original-To: (\S+)@back\.test", m)[1].decode() for m in mails) == sorted(ALIASES)


def test_extensions(peer):  # noqa: F811
    notifications(peer)
    eight_bit(peer)
    unicode(peer)
    null_senders(peer)
    thousand(peer)
    peer.server.wait_empty()
